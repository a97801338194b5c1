"""What standard messages tell about a vendor's ros2_control driver, and whether that is enough.

`controller_manager_msgs` is not needed. A controller's parameters name its joints and their order;
from ROS 2 Jazzy on, the controller manager's diagnostics tell whether it is active. Where they do
not, only the arm's motion does (`follow_watch.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from carp_ros.errors import MessageError
from carp_ros.hardware.ros2_control_link import Trouble
from carp_ros.rig_devices import Ros2ControlArmConfig

FORWARD_PARAMETERS = ("joints", "interface_name")
TRAJECTORY_PARAMETERS = ("joints", "interpolate_from_desired_state", "open_loop_control")
LEAST_RATE_HZ = 60.0
"""Joint states come no slower from any of these drivers; merged ones often come at 30 Hz."""

_STARTING_NS = 3_000_000_000  # time for discovery and the first answers
_ANSWER_NS = 5_000_000_000  # a controller is asked every second
_SILENT_TIMEOUTS = 2.0  # the servo has noticed before

_SHOWN = 20  # names in a text
_MOST_PERCENT = 100.5  # drivers round

Finding = tuple[Trouble, str]


class VendorWatch:
    """Judges one vendor's driver.

    Args:
        config: The rig's `arm` section.
        names: The vendor's names of the robot's joints, in the robot's order.
        now_ns: The time; the same clock as in all calls.

    Attributes:
        order: For each joint of the controller, its index in `names`; None while unknown.
        rate_hz: Joint states a second; None before it was measured.
        listeners: Number of subscribers of the controller's topic.
        publishers: Number of publishers to it, this system's among them.
        activity: State of the controller in the controller manager's words; empty if unknown.
        runs_program: Whether the robot runs the driver's program; None before it was told.
        refusal: Why the last joint state of the arm was not used; empty if it was.
        others: Joints of the last joint state that had none of the arm's.
    """

    def __init__(self, config: Ros2ControlArmConfig, names: tuple[str, ...], now_ns: int) -> None:
        self._config = config
        self._names = names
        self._began_ns = now_ns
        self._state_ns: int | None = None
        self._counted, self._counted_from_ns = 0, 0
        self._answer_ns: int | None = None
        self._wrong = ""
        self.order: list[int] | None = None
        self.rate_hz: float | None = None
        self.listeners = 0
        self.publishers = 1
        self.activity = ""
        self.runs_program: bool | None = None
        self.refusal = ""
        self.others: Sequence[str] = ()

    def take_state(self, now_ns: int) -> None:
        """Note that a usable joint state arrived."""
        self._state_ns, self.refusal = now_ns, ""
        self._counted += 1
        if self._counted == 1:
            self._counted_from_ns = now_ns

    def measure_rate(self) -> None:
        """Measure the rate of joint states since the last call.

        Between the first and the last of them: a driver that stops is silent, and not slow.
        """
        if self._counted > 1 and self._state_ns is not None:
            span_s = (self._state_ns - self._counted_from_ns) * 1e-9
            self.rate_hz = (self._counted - 1) / max(span_s, 1e-9)
        self._counted = 0

    def take_parameters(self, values: Mapping[str, Any], now_ns: int) -> None:
        """Take the controller's parameters by name; those that it lacks are left out."""
        self._answer_ns = now_ns
        self._wrong = self._wrong_parameters(values)
        self.order = None if self._wrong else [self._names.index(name) for name in values["joints"]]

    def finding(self, now_ns: int) -> Finding:
        """Return why the controller follows no targets, and the remedy; NONE if nothing is."""
        return (
            self._of_states(now_ns)
            or self._of_controller(now_ns)
            or self._of_robot(now_ns)
            or (Trouble.NONE, "")
        )

    def _of_states(self, now_ns: int) -> Finding | None:
        topic, timeout_s = self._config.joint_states_topic, self._config.state_timeout_s
        because = self._because()
        if self._state_ns is None:
            if not self.refusal and self._is_starting(now_ns):
                return _STARTING
            return Trouble.NO_STATES, (
                f"no joint states on {topic}{because}: is the vendor's driver up, and started with"
                " the same ROS_DOMAIN_ID and DDS settings?"
            )
        if now_ns - self._state_ns > _SILENT_TIMEOUTS * timeout_s * 1e9:
            self.rate_hz = None
            return Trouble.NO_STATES, (
                f"joint states on {topic} stopped{because}: look at the vendor's driver"
            )
        if self.rate_hz is None:
            return _STARTING
        if self.rate_hz < LEAST_RATE_HZ:
            return Trouble.SLOW_STATES, (
                f"joint states on {topic} come at {self.rate_hz:.0f} Hz; expected"
                f" {LEAST_RATE_HZ:g} at least: name the broadcaster's own topic in"
                " arm.joint_states_topic"
            )
        return None

    def _because(self) -> str:
        """Return what is known of why no joint state of the arm arrives."""
        if self.refusal:
            return f" ({self.refusal})"
        if not self.others:
            return ""
        shown = ", ".join(self.others[:_SHOWN])
        return f" (others come, of {shown}: if they are the arm's, set arm.joint_prefix)"

    def _of_controller(self, now_ns: int) -> Finding | None:
        name = self._config.controller
        answered = self._answer_ns is not None and now_ns - self._answer_ns < _ANSWER_NS
        if not (answered and self.listeners):
            if self._answer_ns is None and self._is_starting(now_ns):
                return _STARTING
            return Trouble.NO_CONTROLLER, (
                f"no controller {name}: load it in the vendor's controller manager, or name"
                " another in arm.controller"
            )
        if self._wrong:
            return Trouble.WRONG_CONTROLLER, self._wrong
        if self.activity not in ("", "active"):
            own_name = name.rpartition("/")[2]
            return Trouble.INACTIVE, (
                f"{name} is {self.activity}: ros2 control switch_controllers --activate {own_name}"
            )
        if self.publishers > 1:
            return Trouble.RIVAL, (
                f"another program publishes to {name}: stop it; only one may command the arm"
            )
        return None

    def _of_robot(self, now_ns: int) -> Finding | None:
        topic = self._config.program_running_topic
        if topic is None or self.runs_program:
            return None
        if self.runs_program is None and self._is_starting(now_ns):
            return _STARTING
        told = "says that it does not" if self.runs_program is False else "says nothing"
        return Trouble.PROGRAM_STOPPED, (
            f"the robot must run the driver's program, but {topic} {told}: start it at the pendant,"
            " and clear what stopped it"
        )

    def _is_starting(self, now_ns: int) -> bool:
        return now_ns - self._began_ns < _STARTING_NS

    def _wrong_parameters(self, values: Mapping[str, Any]) -> str:
        """Return why a controller of these parameters can't be used; empty if it can."""
        name, joints = self._config.controller, values.get("joints")
        if not isinstance(joints, list) or sorted(map(str, joints)) != sorted(self._names):
            return (
                f"{name} moves the joints {joints}; expected {list(self._names)}: set"
                " arm.joint_prefix, or name another controller in arm.controller"
            )
        if self._config.interface == "forward_position":
            interface = values.get("interface_name") or "position"  # some know no other
            if interface == "position":
                return ""
            return f"{name} takes {interface}; expected position"
        if values.get("interpolate_from_desired_state") or values.get("open_loop_control"):
            return ""
        return (
            f"{name} begins each trajectory at the measured joints, and so hardly moves; set its"
            " parameter interpolate_from_desired_state (before ROS 2 Jazzy: open_loop_control)"
        )


def share_of_percent(percent: float) -> float:
    """Return the share of commanded speed, 0 to 1, that a driver tells in percent.

    Raises:
        MessageError: If it is no such percentage.
    """
    if not 0.0 <= percent <= _MOST_PERCENT:
        raise MessageError(
            f"speed scaling is {percent} %; expected 0 to 100: name another topic in"
            " arm.speed_scaling_topic, or none"
        )
    return min(percent, 100.0) / 100.0


_STARTING: Finding = (Trouble.STARTING, "waiting for the vendor's driver and its controller")
