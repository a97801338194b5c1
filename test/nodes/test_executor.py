"""The executor calls what rclpy's would, and keeps what it waits for until that changes."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from carp_ros.nodes import executor as module
from carp_ros.nodes.executor import KeptExecutor

from .conftest import await_true

pytestmark = pytest.mark.realtime


class Spinning:
    """A node whose executor spins in a thread, and what ended that."""

    def __init__(self) -> None:
        self.node = Node("spinning")
        self.executor = KeptExecutor()
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


def test_a_callback_that_waits_is_refused(spinning):
    class Pause:
        def __await__(self):
            yield

    async def callback() -> None:
        await Pause()

    spinning.node.create_timer(0.01, callback)
    spinning.start()
    assert "expected a function" in str(spinning.ended())


def test_rclpy_is_left_neither_timers_nor_subscriptions(spinning):
    calls: list[str] = []
    spinning.node.create_timer(0.01, lambda: calls.append("timer"))
    publisher = spinning.node.create_publisher(String, "talk", 10)
    spinning.node.create_subscription(String, "talk", lambda msg: calls.append(msg.data), 10)
    publisher.publish(String(data="word"))
    time.sleep(0.1)  # both are due
    spinning.executor._do_what_is_rare()
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

    class Counted(module._Kept):
        def __init__(self, *args) -> None:
            made.append(0)
            super().__init__(*args)

    monkeypatch.setattr(module, "_Kept", Counted)
    heard: list[str] = []
    publisher = spinning.node.create_publisher(String, "talk", 10)
    spinning.node.create_subscription(String, "talk", lambda msg: heard.append(msg.data), 10)
    spinning.node.create_timer(0.005, lambda: publisher.publish(String(data="word")))
    spinning.start()
    await_true(lambda: len(heard) > 50, 5.0, "fifty messages")
    assert len(made) <= 6  # for what was made before it began
