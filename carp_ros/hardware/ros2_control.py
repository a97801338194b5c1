"""An arm behind its vendor's ros2_control driver, such as `ur_robot_driver` or `franka_ros2`.

This process imports no ROS: `arm_bridge_node` passes joint states and targets on, through shared
memory. The vendor's position controllers have no watchdog: they hold the newest target for ever.
If this process, the node or the link dies, the arm comes to rest there; so no target is ever far
ahead of the arm, and none is sent while nobody could see the arm follow.

Of the vendor's driver this one knows only what standard messages tell: not the robot's safety
state, which shows as an arm that does not follow, or as a program that does not run. It clears
nothing at the robot; the vendor's own tools do.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from carp_ros.errors import DeviceError, MessageError
from carp_ros.hardware.follow_watch import FollowWatch
from carp_ros.hardware.ros2_control_link import (
    MOST_LEAD_RAD,
    ArmLink,
    BridgeState,
    Trouble,
    arm_link_name,
    target_to_record,
)
from carp_ros.rig_devices import Ros2ControlArmConfig
from carp_ros.robots import Robot
from carp_ros.types import ArmState, Array, SafetyState

_CONNECT_S = 5.0
_RECOVER_S = 5.0
_POLL_S = 0.01
# The guard's own limit is reached first, which names the fault more precisely.
_SILENT_TIMEOUTS = 1.5
LONGEST_RECOVERY_S = _RECOVER_S + 1.0

_NO_NODE = "arm_bridge_node is not running"


class Ros2ControlArm:
    """The arm behind one vendor's driver.

    Args:
        config: The rig's `arm` section.
        robot: For the names of its joints.
        rate_hz: How often `servo` is called.
        link_name: Name of the shared memory; by default this system's.
    """

    def __init__(
        self, config: Ros2ControlArmConfig, robot: Robot, rate_hz: float, link_name: str = ""
    ) -> None:
        self._config = config
        self._names = robot.joint_names
        self._rate_hz = rate_hz
        self._link_name = link_name or arm_link_name()
        self._link: ArmLink | None = None
        self._state: BridgeState | None = None
        self._states_seen = 0
        self._watched_ns = 0
        self._watch: FollowWatch | None = None  # None while targets are refused
        self._why = ""

    def connect(self) -> None:
        """Attach to the node, and wait for joint states.

        Connects also where the controller follows no targets: `read` says why, and `recover` goes
        on. Nothing is sent.

        Raises:
            DeviceError: If the node does not run, or no joint states arrive.
        """
        self._open()
        self._await(lambda state: state.trouble is not Trouble.STARTING, _CONNECT_S)
        state = self._newest()
        if not state.received_ns:
            raise DeviceError(state.text)
        if not self._hindrance(state):
            self._start_watching(state)

    def read(self) -> ArmState:
        """Return the newest state, without waiting for a new one.

        Raises:
            DeviceError: If it was never connected.
        """
        state = self._newest()
        why = self._hindrance(state)
        if not why and self._watch is not None and state.received_ns != self._watched_ns:
            self._watched_ns = state.received_ns  # silence is no finding of the watch
            why = self._astray(self._watch, state.joints)
        if why and self._watch is not None:
            self._watch, self._why = None, why
        ready = self._watch is not None
        return ArmState(
            robot_time_s=state.robot_time_s,
            joints=state.joints,
            velocities=state.velocities,
            safety=SafetyState.NORMAL,
            ready=ready,
            speed_scaling=state.speed_scaling,
            explanation="" if ready else why or self._why,
        )

    def servo(self, joints: Array) -> None:
        """Hand a joint target of shape (J,) in [rad] to the node.

        Raises:
            DeviceError: If it is not finite or far from the arm, or the controller follows none.
        """
        state = self._newest()
        if joints.shape != state.joints.shape or not np.isfinite(joints).all():
            raise DeviceError(
                f"joint target is {joints.tolist()}; expected {len(state.joints)} finite numbers"
            )
        if self._watch is None or self._link is None:
            raise DeviceError(f"the arm accepted no joint target: {self._why or 'reset first'}")
        lead_rad = float(np.abs(joints - state.joints).max())
        if lead_rad > MOST_LEAD_RAD:
            raise DeviceError(
                f"a joint target is {lead_rad:.2f} rad ahead of the arm; expected at most"
                f" {MOST_LEAD_RAD}: it lags too much for this speed"
            )
        self._link.target.write(target_to_record(joints, time.monotonic_ns()))
        self._watch.sent(joints)

    def start_guiding(self) -> None:
        """Refuse: standard messages have no word for it.

        Raises:
            DeviceError: Always.
        """
        raise DeviceError(
            "arm.driver is ros2_control, which cannot free the arm; guide it with the vendor's own"
            " button, or use arm.driver ur or fr3"
        )

    def keep_guiding(self) -> None:
        """Refuse, as `start_guiding`.

        Raises:
            DeviceError: Always.
        """
        self.start_guiding()

    def end_guiding(self) -> None:
        """Do nothing: the arm is never guided."""

    def recover(self) -> None:
        """Accept targets again, from where the arm stands. Nothing is cleared at the robot.

        Attaches to a node that was started again.

        Raises:
            DeviceError: If the controller still follows no targets, with the reason.
        """
        if self._link is None or self._link.orphaned:
            self._open()
        self._await(lambda state: not self._hindrance(state), _RECOVER_S)
        state = self._newest()
        if why := self._hindrance(state):
            raise DeviceError(why)
        self._start_watching(state)

    def close(self) -> None:
        """Let go of the link; the vendor's controller holds the newest target."""
        self._link = self._state = self._watch = None

    def _open(self) -> None:
        self._link = self._watch = None
        try:
            self._link = ArmLink(self._link_name, create=False)
        except DeviceError as error:
            raise DeviceError(f"{_NO_NODE}: {error}") from error
        self._states_seen = 0

    def _await(self, so: Callable[[BridgeState], bool], timeout_s: float) -> None:
        """Wait for a state of which something holds, but not for ever.

        Raises:
            DeviceError: If there is no state at all by then.
        """
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if self._states_seen_any() and so(self._newest()):
                return
            time.sleep(_POLL_S)
        if not self._states_seen_any():
            raise DeviceError(f"arm_bridge_node wrote nothing within {timeout_s:g} s")

    def _states_seen_any(self) -> bool:
        return self._link is not None and self._link.state.count > 0

    def _newest(self) -> BridgeState:
        """Return what the node wrote last.

        Raises:
            DeviceError: If there is nothing.
        """
        link = self._link
        if link is not None and link.state.count != self._states_seen:
            self._states_seen = link.state.count
            record = link.state.read()
            try:
                self._state = self._state if record is None else BridgeState.from_record(record)
            except MessageError as error:  # its joint states then count as silence
                self._why = str(error)
        if self._state is None:
            raise DeviceError(f"no state of the arm: {_NO_NODE}, or it wrote nothing yet")
        return self._state

    def _hindrance(self, state: BridgeState) -> str:
        """Return why the controller would follow no targets; empty if nothing is known."""
        if state.trouble is not Trouble.NONE:
            return state.text
        silent_s = (time.monotonic_ns() - state.received_ns) * 1e-9
        if silent_s > _SILENT_TIMEOUTS * self._config.state_timeout_s:
            gone = self._link is not None and self._link.orphaned
            return _NO_NODE if gone else f"no joint states for {silent_s:.2f} s"
        return ""

    def _start_watching(self, state: BridgeState) -> None:
        c = self._config
        self._why = ""
        self._watch = FollowWatch.of_rate(
            state.joints, self._rate_hz, c.follow_within_s, c.follow_tolerance_rad
        )

    def _astray(self, watch: FollowWatch, joints: Array) -> str:
        """Return which joint does not go where it is sent; empty if they all do."""
        off_rad = watch.off_rad(joints)
        worst = int(np.argmax(off_rad))
        if off_rad[worst] == 0.0:
            return ""
        return (
            f"{self._names[worst]} is {off_rad[worst] + self._config.follow_tolerance_rad:.3f} rad"
            f" from every target of the last {self._config.follow_within_s:g} s: is"
            f" {self._config.controller} active, does the robot run, or does another program move"
            " it?"
        )
