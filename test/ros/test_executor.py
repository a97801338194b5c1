"""The executor calls what rclpy's would, and keeps what it waits for until that changes."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from rclpy.waitable import NumberOfEntities, Waitable
from std_msgs.msg import String
from std_srvs.srv import Trigger

from carp_ros.ros import executor as module
from carp_ros.ros.executor import CachedWaitSetExecutor
from carp_ros.ros.guarded_node import GuardedNode

from ..patience import await_true

pytestmark = pytest.mark.realtime


class Spinning:
    """A node whose executor spins in a thread, and what ended that."""

    def __init__(self) -> None:
        self.node = Node("spinning")
        self.executor = CachedWaitSetExecutor()
        self.executor.add_node(self.node)
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._spin)

    def start(self) -> None:
        self._thread.start()

    def ended(self) -> Exception | None:
        self._thread.join(3.0)
        assert not self._thread.is_alive()
        return self.error

    def _spin(self) -> None:
        try:
            self.executor.spin()
        except Exception as error:
            self.error = error


@pytest.fixture
def spinning(monkeypatch) -> Iterator[Spinning]:
    # what a test waits for must not come of the look that is taken once a second anyway
    monkeypatch.setattr(module, "_RARE_NS", 60_000_000_000)
    rclpy.init()
    spinning = Spinning()
    yield spinning
    spinning.executor.shutdown()
    spinning.ended()
    spinning.node.destroy_node()
    rclpy.try_shutdown()


def test_messages_come_in_their_order(spinning):
    heard: list[str] = []
    publisher = spinning.node.create_publisher(String, "talk", 10)
    spinning.node.create_subscription(String, "talk", lambda msg: heard.append(msg.data), 10)
    spinning.start()
    await_true(lambda: publisher.get_subscription_count() == 1, 3.0, "a listener")
    words = [str(i) for i in range(10)]
    for word in words:
        publisher.publish(String(data=word))
    await_true(lambda: len(heard) == 10, 3.0, "all of it")
    assert heard == words


def test_a_service_of_this_node_answers_a_client_of_this_node(spinning):
    def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = "here"
        return response

    done: list[str] = []
    spinning.node.create_service(Trigger, "where", answer)
    client = spinning.node.create_client(Trigger, "where")
    spinning.start()
    assert client.wait_for_service(3.0)
    future = client.call_async(Trigger.Request())
    future.add_done_callback(lambda future: done.append(future.result().message))
    await_true(lambda: done == ["here"], 3.0, "what a future calls once it is done")


@pytest.mark.parametrize("other", [True, False], ids=["by a thread", "by a callback"])
def test_what_comes_while_it_spins_is_called_and_what_goes_is_not(spinning, other):
    node, calls = spinning.node, []

    def add() -> None:
        timers.append(node.create_timer(0.01, lambda: calls.append(time.monotonic())))

    def remove() -> None:
        node.destroy_timer(timers.pop())

    timers: list = []
    jobs: list[Callable[[], None]] = []
    node.create_timer(0.01, lambda: jobs.pop()() if jobs else None)
    spinning.start()
    do = (lambda job: job()) if other else jobs.append
    do(add)
    await_true(lambda: len(calls) > 3, 2.0, "calls of the timer that came")
    do(remove)
    await_true(lambda: not timers, 1.0, "a timer that goes")
    time.sleep(0.05)
    before = len(calls)
    time.sleep(0.1)
    assert len(calls) == before


def test_a_timer_that_another_cancels_in_the_same_turn_is_not_called(spinning):
    calls: list[str] = []
    first = spinning.node.create_timer(0.05, lambda: (calls.append("first"), second.cancel()))
    second = spinning.node.create_timer(0.05, lambda: calls.append("second"))
    time.sleep(0.1)  # both are due
    spinning.start()
    await_true(lambda: len(calls) > 2, 2.0, "calls")
    first.cancel()
    assert set(calls) == {"first"}


def test_what_a_callback_raises_ends_it(spinning):
    spinning.node.create_timer(0.01, lambda: 1 / 0)
    spinning.start()
    assert isinstance(spinning.ended(), ZeroDivisionError)


def test_what_a_service_raises_ends_it(spinning):
    spinning.node.create_service(Trigger, "fail", lambda request, response: 1 / 0)
    client = spinning.node.create_client(Trigger, "fail")
    spinning.start()
    assert client.wait_for_service(3.0)
    client.call_async(Trigger.Request())
    assert isinstance(spinning.ended(), ZeroDivisionError)


def test_a_timer_may_wait_for_what_another_brings(spinning):
    future, calls = Future(), []

    async def wait() -> None:
        timer.cancel()
        calls.append(await future)

    timer = spinning.node.create_timer(0.01, wait)
    spinning.node.create_timer(0.1, lambda: future.set_result("brought"))
    spinning.start()
    await_true(lambda: calls == ["brought"], 1.0, "what was waited for")


def test_a_subscription_may_wait_for_what_a_thread_brings(spinning):
    future, calls = Future(), []

    async def take(msg: String) -> None:
        calls.append(msg.data + await future)

    publisher = spinning.node.create_publisher(String, "talk", 10)
    spinning.node.create_subscription(String, "talk", take, 10)
    spinning.start()
    await_true(lambda: publisher.get_subscription_count() == 1, 3.0, "a listener")
    publisher.publish(String(data="a "))
    time.sleep(0.1)
    future.set_result("thread")
    await_true(lambda: calls == ["a thread"], 1.0, "what was waited for")


def test_others_are_served_while_a_service_waits(spinning):
    node = GuardedNode("waits")
    spinning.executor.add_node(node)
    future, ticks = Future(), []

    async def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = await future
        return response

    def release(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        future.set_result("released")
        return response

    node.create_service(Trigger, "wait", answer)
    node.create_service(Trigger, "release", release)
    node.create_timer(0.01, lambda: ticks.append(0))
    clients = [node.create_client(Trigger, name) for name in ("wait", "release")]
    spinning.start()
    assert all(client.wait_for_service(3.0) for client in clients)
    first = clients[0].call_async(Trigger.Request())
    time.sleep(0.2)
    before = len(ticks)
    time.sleep(0.2)
    assert len(ticks) - before > 10
    assert not first.done()
    second = clients[1].call_async(Trigger.Request())
    await_true(second.done, 1.0, "an answer while another waits")
    await_true(first.done, 1.0, "the answer that waited")
    assert first.result().message == "released"
    spinning.executor.remove_node(node)
    node.destroy_node()


class Bell(Waitable):
    """What an action is to an executor: something of its own kind that says when it is ready."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.default_callback_group)
        assert node.context.handle is not None
        with node.context.handle:
            self._guard = rclpy_implementation.GuardCondition(node.context.handle)
        self.rung_s: list[float] = []
        self._index = 0

    def ring(self) -> None:
        self._guard.trigger_guard_condition()

    def is_ready(self, wait_set) -> bool:
        return wait_set.is_ready("guard_condition", self._index)

    def take_data(self) -> float:
        return time.monotonic()

    async def execute(self, taken_data: float) -> None:
        self.rung_s.append(taken_data)

    def get_num_entities(self) -> NumberOfEntities:
        return NumberOfEntities(num_gcs=1)

    def add_to_wait_set(self, wait_set) -> None:
        self._index = wait_set.add_guard_condition(self._guard)


def test_a_waitable_is_served_at_once_each_time(spinning):
    bell = Bell(spinning.node)
    spinning.node.add_waitable(bell)
    spinning.node.create_timer(0.01, lambda: None)
    spinning.start()
    time.sleep(0.2)
    for number in range(5):
        rung_s = time.monotonic()
        bell.ring()
        await_true(lambda number=number: len(bell.rung_s) > number, 1.0, "the bell is heard")
        assert bell.rung_s[-1] - rung_s < 0.3
    time.sleep(0.1)
    assert len(bell.rung_s) == 5


def test_an_event_is_told_within_a_second(spinning, monkeypatch):
    monkeypatch.setattr(module, "_RARE_NS", 200_000_000)
    told: list[object] = []
    node = spinning.node
    reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    events = SubscriptionEventCallbacks(incompatible_qos=told.append)
    node.create_subscription(String, "talk", print, reliable, event_callbacks=events)
    spinning.start()
    node.create_publisher(
        String, "talk", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    await_true(lambda: told, 3.0, "the event")


def test_a_node_may_be_spun_once_too(spinning):
    calls: list[str] = []
    spinning.node.create_timer(0.01, lambda: calls.append("timer"))
    time.sleep(0.05)
    spinning.executor.spin_once(timeout_sec=1.0)
    assert calls == ["timer"]
    spinning.start()


def test_a_message_that_can_not_be_taken_is_refused_by_its_node(spinning, monkeypatch):
    node = GuardedNode("guarded")
    heard: list[str] = []
    publisher = node.create_publisher(String, "talk", 10)
    node.create_subscription(String, "talk", lambda msg: heard.append(msg.data), 10)
    spinning.executor.add_node(node)
    take = spinning.executor._take_subscription

    def fail_once(subscription):
        monkeypatch.undo()
        take(subscription)
        raise RuntimeError("failed to take")

    monkeypatch.setattr(spinning.executor, "_take_subscription", fail_once)
    spinning.start()
    await_true(lambda: publisher.get_subscription_count() == 1, 3.0, "a listener")
    for word in ("lost", "heard"):
        publisher.publish(String(data=word))
        time.sleep(0.1)
    await_true(lambda: heard == ["heard"], 2.0, "the next message")
    assert node.callback_guard.counts == {"topic /talk": 1}
    spinning.executor.remove_node(node)
    node.destroy_node()


def test_rclpy_that_was_tried_gets_the_executor_that_was_made_for_it(spinning):
    said: list[str] = []
    executor = module.make_executor(said.append)
    assert (type(executor), said) == (CachedWaitSetExecutor, [])
    executor.shutdown()
    spinning.start()


@pytest.mark.parametrize("found", ["3.3.16", "7.0.9", "7.2.0", "9.1.0", "unknown"])
def test_another_rclpy_gets_its_own_executor_and_a_warning(spinning, monkeypatch, found):
    monkeypatch.setattr(module, "version", lambda package: found)
    said: list[str] = []
    executor = module.make_executor(said.append)
    assert type(executor) is SingleThreadedExecutor
    assert said[0].startswith(f"rclpy is {found}; tested are 7.1.0 to 7.1.x")
    executor.shutdown()
    spinning.start()


def test_rclpy_that_lacks_a_name_gets_its_own_executor(spinning, monkeypatch):
    monkeypatch.setattr(module, "_NEEDED", (*module._NEEDED, "_gone"))
    said: list[str] = []
    executor = module.make_executor(said.append)
    assert type(executor) is SingleThreadedExecutor
    assert "lacks _gone" in said[0]
    executor.shutdown()
    spinning.start()


def test_rclpy_is_left_neither_timers_nor_subscriptions(spinning):
    calls: list[str] = []
    spinning.node.create_timer(0.01, lambda: calls.append("timer"))
    publisher = spinning.node.create_publisher(String, "talk", 10)
    spinning.node.create_subscription(String, "talk", lambda msg: calls.append(msg.data), 10)
    publisher.publish(String(data="word"))
    time.sleep(0.1)  # both are due
    spinning.executor._run_rclpy_callbacks()
    assert calls == []
    spinning.start()
    await_true(lambda: set(calls) == {"timer", "word"}, 2.0, "both calls")


@pytest.mark.parametrize("ros", [True, False], ids=["with ROS", "alone"])
def test_nothing_is_called_once_it_is_shut_down(spinning, ros):
    calls: list[str] = []
    shut_down = rclpy.shutdown if ros else spinning.executor.shutdown

    def callback() -> None:
        calls.append("call")
        shut_down()
        time.sleep(0.05)  # it is due again

    spinning.node.create_timer(0.01, callback)
    spinning.start()
    assert isinstance(spinning.ended(), (ExternalShutdownException, type(None)))
    assert calls == ["call"]


def test_it_ends_when_it_is_shut_down(spinning):
    spinning.start()
    time.sleep(0.1)
    spinning.executor.shutdown()
    assert spinning.ended() is None


def test_it_ends_when_ros_is_shut_down(spinning):
    spinning.start()
    time.sleep(0.1)
    rclpy.shutdown()
    assert isinstance(spinning.ended(), (ExternalShutdownException, type(None)))


def test_what_it_waits_for_is_kept(spinning, monkeypatch):
    made: list[int] = []

    class Counted(module._CachedWaitSet):
        def __init__(self, *args) -> None:
            made.append(0)
            super().__init__(*args)

    monkeypatch.setattr(module, "_CachedWaitSet", Counted)
    heard: list[str] = []
    publisher = spinning.node.create_publisher(String, "talk", 10)
    spinning.node.create_subscription(String, "talk", lambda msg: heard.append(msg.data), 10)
    spinning.node.create_timer(0.005, lambda: publisher.publish(String(data="word")))
    spinning.start()
    await_true(lambda: len(heard) > 50, 5.0, "fifty messages")
    assert len(made) <= 6  # for what was made before it began
