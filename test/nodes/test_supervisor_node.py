"""The supervisor leads nodes up, and leaves off what somebody switched off."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from sensor_msgs.msg import JointState

from carp_ros.nodes import supervisor_node as module
from carp_ros.nodes.supervisor_node import SupervisorNode
from carp_ros.ros.executor import CachedWaitSetExecutor
from carp_ros.ros.managed_node import ManagedNode
from carp_ros.ros.messages import time_to_msg
from carp_ros.share import share_folder

from ..patience import await_true

pytestmark = pytest.mark.realtime

RIG = share_folder() / "config" / "ur5e_sim.yaml"
S = 1_000_000_000


class System:
    """A supervisor and a node that does nothing, spun by one thread."""

    def __init__(self) -> None:
        self.says: dict[str, str] = {}
        self.supervisor = SupervisorNode()
        self.idle = ManagedNode("idle_node")
        self.idle.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 10)
        self.executor = CachedWaitSetExecutor()
        for node in (self.supervisor, self.idle):
            self.executor.add_node(node)
        self._thread = threading.Thread(target=self.executor.spin)
        self._thread.start()
        self._change = self.idle.create_client(ChangeState, "idle_node/change_state")
        assert self._change.wait_for_service(5.0)

    def change(self, number: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=number))
        future = self._change.call_async(request)
        await_true(future.done, 5.0, "an answer")
        return future.result().success

    def restart(self) -> None:
        """Put a new node in the place of the old one, as a process that is started again does."""
        self.executor.remove_node(self.idle)
        self.idle.destroy_node()
        self.idle = ManagedNode("idle_node")
        self.executor.add_node(self.idle)

    def close(self) -> None:
        self.executor.shutdown()
        self._thread.join(5.0)
        self.idle.destroy_node()
        self.supervisor.destroy_node()

    def _hear(self, msg: DiagnosticArray) -> None:
        self.says |= {status.name: status.message for status in msg.status}


@pytest.fixture
def system() -> Iterator[System]:
    rclpy.init(args=["--ros-args", "-p", f"rig:={RIG}", "-p", "managed:=idle_node"])
    system = System()
    yield system
    system.close()
    rclpy.shutdown()


def await_active(system: System) -> None:
    await_true(lambda: system.idle.is_active, 10.0, "active")


def test_what_is_switched_off_stays_off_until_it_is_switched_on(system, capfd):
    await_active(system)
    time.sleep(0.6)
    assert system.change(Transition.TRANSITION_DEACTIVATE)
    time.sleep(1.5)
    assert not system.idle.is_active
    await_true(
        lambda: "idle_node was deactivated" in system.says.get("supervisor: system", ""),
        3.0,
        f"what is off is said: {system.says}",
    )
    assert system.change(Transition.TRANSITION_ACTIVATE)
    await_true(
        lambda: "deactivated" not in system.says["supervisor: system"], 3.0, "it is on again"
    )
    time.sleep(0.6)
    assert system.idle.is_active
    assert capfd.readouterr().err.count("was deactivated") == 1


def test_what_is_cleaned_up_at_once_stays_so_too(system):
    await_active(system)
    time.sleep(0.6)
    assert system.change(Transition.TRANSITION_DEACTIVATE)
    assert system.change(Transition.TRANSITION_CLEANUP)
    time.sleep(1.5)
    assert not system.idle.is_configured


def test_a_node_that_is_started_anew_is_led_up_again(system):
    await_active(system)
    time.sleep(0.6)
    system.restart()
    await_active(system)


@pytest.mark.parametrize("jump_s", [-3600, -5, 5, 3600])
def test_streams_are_judged_by_when_they_come_whatever_their_stamps(monkeypatch, jump_s):
    now_ns = 50 * S
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic_ns=lambda: now_ns))
    stream, wall_ns = module._Stream(100.0), 1_700_000_000 * S
    for number in range(1000):
        now_ns += S // 100
        wall_ns += S // 100 + (jump_s * S if number == 500 else 0)
        msg = JointState()
        msg.header.stamp = time_to_msg(wall_ns)
        stream.take(msg)
        assert stream.missing(now_ns) in ("", "measuring its rate")
    assert stream.missing(now_ns) == ""
    assert stream.slow == ""
    assert stream.missing(now_ns + S) == "newest message came 1.0 s ago"


def test_a_clock_that_is_set_is_named_once(system, monkeypatch, capfd):
    await_true(lambda: system.says.get("supervisor: clock") == "never set", 5.0, "a clock")
    jumps = iter((-5 * S, 0, 0))
    clock = SimpleNamespace(jump_ns=lambda steady_ns, wall_ns: next(jumps, 0))
    monkeypatch.setattr(system.supervisor, "_wall_clock", clock)
    await_true(
        lambda: "the wall clock was set back by 5.00 s" in system.says["supervisor: clock"],
        5.0,
        "the clock is named",
    )
    time.sleep(2.1)
    assert capfd.readouterr().err.count("the wall clock was set back by 5.00 s") == 1
