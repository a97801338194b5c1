"""ROS node: brings the managed nodes up in order and reports what is missing.

Configures and activates the lifecycle nodes one after the other, and monitors that the streams the
rig file specifies arrive at their rates. It never moves or stops the arm: each node fails closed by
itself.

Subscribes:
    <camera>/camera_info, joint_states: to measure their rates.
Publishes:
    robot_description (String): the rig's URDF, for viewers, latched.
    /diagnostics (DiagnosticArray): `supervisor: ...`, 1 Hz.
Services:
    supervisor/check (Trigger): the pre-flight check; the message lists every problem.
"""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile
from rclpy.task import Future
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from carp_ros.description.urdf import robot_description
from carp_ros.nodes.first_steps import first_steps
from carp_ros.nodes.wall_clock import WallClock
from carp_ros.processes.ready import announce_ready
from carp_ros.recording.stream_meter import StreamMeter
from carp_ros.ros.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher, status
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.messages import time_from_msg
from carp_ros.ros.params import fixed_parameter, rig_parameter
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import LATCHED, SENSOR
from carp_ros.strict import Matching

_JOINT_RATE_HZ = 100.0
_WINDOW_NS = 2_000_000_000
_LEAST_SHARE = 0.95
_SILENT_S = 0.5
_ANSWER_NS = 5_000_000_000
_NEXT_TRANSITION = {
    State.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_CONFIGURE,
    State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_ACTIVATE,
}

_SWITCHED_OFF = (
    State.TRANSITION_STATE_DEACTIVATING,
    State.TRANSITION_STATE_CLEANINGUP,
    State.TRANSITION_STATE_SHUTTINGDOWN,
)
_TRANSITIONS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=20)
_CLOCK_RECENT_S = 60.0


class SupervisorNode(GuardedNode):
    """Walks the managed nodes through their lifecycle and measures the streams."""

    def __init__(self) -> None:
        super().__init__("supervisor_node")
        self._rig = rig_parameter(self)
        managed = fixed_parameter(
            self,
            "managed",
            "control_node",
            "Lifecycle nodes to bring up, in order, separated by spaces.",
            Matching(r"[\w/ ]{0,500}", "names of nodes separated by spaces"),
        )
        self._mode = fixed_parameter(self, "mode", "teleop", "What moves the arm, for the hints.")
        self._managed = {name: _ManagedNode(self, name) for name in managed.split()}
        self._streams = {"joint_states": _Stream(_JOINT_RATE_HZ)}
        self.create_subscription(
            JointState, "joint_states", self._streams["joint_states"].take, SENSOR
        )
        for name, camera in self._rig.cameras.items():
            stream = self._streams[name] = _Stream(camera.rate_hz)
            self.create_subscription(CameraInfo, f"{name}/camera_info", stream.take, SENSOR)
        self._describe()
        self._diagnostics = DiagnosticsPublisher(self)
        self._ready = False
        self._said: tuple[str, ...] = ()
        self._wall_clock = WallClock()
        self._clock_said, self._clock_set_s = "", 0.0
        self.create_service(Trigger, "supervisor/check", self._on_check)
        self.create_timer(0.25, self._on_step)
        self.create_timer(1.0, self._on_second)

    def _describe(self) -> None:
        """Publish the robot description."""
        self._description = self.create_publisher(String, "robot_description", LATCHED)
        self._description.publish(String(data=robot_description(self._rig)))

    def _on_step(self) -> None:
        for node in self._managed.values():
            node.step()
            if node.missing:
                return  # later nodes depend on it

    def _on_second(self) -> None:
        waiting, slow = self._waiting(), self._slow()
        missing, was_ready = list(waiting.values()), self._ready
        self._watch_clock()
        if not missing and not self._ready:
            self._ready = True
            self.get_logger().info("everything is up")
            self.get_logger().info(first_steps(self._mode, self.get_namespace()))
            announce_ready()
        if tuple(waiting) != self._said:  # names only: ages and counts change all the time
            self._said = tuple(waiting)
            text = f"waiting for {'; '.join(missing)}" if missing else "everything is up again"
            if missing or was_ready:
                self.get_logger().info(text)
        values = {name: stream.rate_text for name, stream in self._streams.items()}
        level = ERROR if missing else WARN if slow else OK
        message = "; ".join(missing + slow) or "everything is up"
        system = status("supervisor: system", level, message, values)
        self._diagnostics.publish([system, self._clock_status()])

    def _on_check(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        problems = [*self._waiting().values(), *self._slow()]
        response.success = not problems
        response.message = "; ".join(problems)
        return response

    def _watch_clock(self) -> None:
        """Warn once when the wall clock jumps: stamps then jump, and an episode has a gap."""
        wall_ns = self.get_clock().now().nanoseconds
        jump_s = self._wall_clock.jump_ns(time.monotonic_ns(), wall_ns) * 1e-9
        if jump_s:
            way = "forward" if jump_s > 0 else "back"
            self._clock_said = (
                f"the wall clock was set {way} by {abs(jump_s):.2f} s, {{ago}} s ago: stamps jump,"
                " and an episode recorded then has a gap"
            )
            self._clock_set_s = time.monotonic()
            self.get_logger().warning(self._clock_said.format(ago=0))

    def _clock_status(self) -> DiagnosticStatus:
        if not self._clock_said:
            return status("supervisor: clock", OK, "never set")
        ago_s = time.monotonic() - self._clock_set_s
        level = WARN if ago_s < _CLOCK_RECENT_S else OK
        return status("supervisor: clock", level, self._clock_said.format(ago=round(ago_s)))

    def _waiting(self) -> dict[str, str]:
        """Return what is still missing before the system is up: name to description."""
        now_ns = time.monotonic_ns()
        waiting = {name: node.missing for name, node in self._managed.items() if node.missing}
        streams = ((name, stream.missing(now_ns)) for name, stream in self._streams.items())
        return waiting | {name: f"{name} ({problem})" for name, problem in streams if problem}

    def _slow(self) -> list[str]:
        """Return which nodes are deactivated and which streams are too slow."""
        off = [node.off for node in self._managed.values() if node.off]
        streams = ((name, stream.slow) for name, stream in self._streams.items())
        return off + [f"{name}: {problem}" for name, problem in streams if problem]


class _Stream:
    """One measured topic; its rate is that of the last full window of `_WINDOW_NS`."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._meter = StreamMeter(rate_hz)
        self._share: float | None = None
        self._stamp_ns = 0
        self._came_ns: int | None = None

    def take(self, msg: CameraInfo | JointState) -> None:
        stamp_ns, now_ns = time_from_msg(msg.header.stamp), time.monotonic_ns()
        # the clock jumped: discard the stamps from before
        if abs(stamp_ns - self._stamp_ns) > _WINDOW_NS:
            self._meter.reset()
        self._meter.add(stamp_ns)
        self._stamp_ns, self._came_ns = stamp_ns, now_ns
        if self._meter.span_ns >= _WINDOW_NS:
            self._share = self._meter.share(stamp_ns)
            self._meter.reset()

    def missing(self, now_ns: int) -> str:
        if self._came_ns is None:
            return "no message yet"
        silent_s = (now_ns - self._came_ns) * 1e-9
        if silent_s > _SILENT_S:
            return f"newest message came {silent_s:.1f} s ago"
        return "measuring its rate" if self._share is None else ""

    @property
    def slow(self) -> str:
        if self._share is None or self._share >= _LEAST_SHARE:
            return ""
        return f"{self.rate_text} arrive, expected {_LEAST_SHARE:.0%}: is this machine overloaded?"

    @property
    def rate_text(self) -> str:
        share = "-" if self._share is None else f"{self._share:.1%}"
        return f"{share} of {self._rate_hz:.0f} Hz"


class _ManagedNode:
    """One lifecycle node: brought to the active state once, then only monitored.

    A node that somebody else deactivates stays inactive until somebody activates it again.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._name = name
        self._log = node.get_logger()
        self._get = node.create_client(GetState, f"{name}/get_state")
        self._change = node.create_client(ChangeState, f"{name}/change_state")
        node.create_subscription(
            TransitionEvent, f"{name}/transition_event", self._on_transition, _TRANSITIONS
        )
        self._pending: Future | None = None
        self._asked_ns = 0
        self._was_active = False
        self.missing = f"{name} to start"
        self.off = ""

    def step(self) -> None:
        """Request the node's state or its next transition; never blocks."""
        now_ns = time.monotonic_ns()
        if self._pending is not None and self._pending.done():
            self._take(self._pending.result())
        elif self._pending is not None and now_ns - self._asked_ns > _ANSWER_NS:
            self._pending = None  # the node died; discovery may still show it for a while
            self._was_active = False
            self.missing = f"{self._name}, which does not answer: did it die?"
        elif self._pending is None and self._get.service_is_ready():
            self._ask(self._get, GetState.Request())

    def _on_transition(self, msg: TransitionEvent) -> None:
        """Record that the node was deactivated by somebody else; the supervisor never does that."""
        if msg.goal_state.id in _SWITCHED_OFF:
            self._pending = None  # a pending answer is outdated
            self._was_active = False
            self._switch_off()

    def _switch_off(self) -> None:
        if not self.off:
            self.off = (
                f"{self._name} was deactivated and stays inactive until"
                f" `ros2 lifecycle set {self._name} activate`"
            )
            self._log.warning(self.off)

    def _ask(self, client: Client, request: GetState.Request | ChangeState.Request) -> None:
        self._pending = client.call_async(request)
        self._asked_ns = time.monotonic_ns()

    def _take(self, result: GetState.Response | ChangeState.Response | None) -> None:
        self._pending = None
        if not isinstance(result, GetState.Response):
            return  # a transition ended: the next step asks for the resulting state
        state = result.current_state
        if state.id == State.PRIMARY_STATE_ACTIVE:
            self._was_active, self.off, self.missing = True, "", ""
            return
        if self._was_active and state.id == State.PRIMARY_STATE_INACTIVE:
            self._switch_off()  # the transition event was missed
        self._was_active = False
        self.missing = "" if self.off else f"{self._name}, which is {state.label}"
        transition = _NEXT_TRANSITION.get(state.id)
        if transition is not None and not self.off:
            request = ChangeState.Request(transition=Transition(id=transition))
            self._ask(self._change, request)


def main() -> None:
    """Run the supervisor until shutdown."""
    run_node(SupervisorNode)


if __name__ == "__main__":
    main()
