"""A Franka FR3 through franky-control, whose control loop of 1 kHz runs in C++.

The servo's targets feed a joint impedance controller there, which pulls the arm to the newest one;
between two targets it goes on with the last target's speed. If this process hangs, the arm comes to
rest at its last target. If it dies, or is too late for the robot, the robot stops with a violation
of its communication constraints. After any stop the controller is started again only by `recover`.

libfranka does not connect anew: after a lost link, a new process must.
"""

from __future__ import annotations

import logging
import time

import franky
import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.hardware.franka_link import ARM_PORT, FRANKY_ERRORS, control_loop_priority, one_line
from carp_ros.hardware.franka_safety import safety_of
from carp_ros.hardware.franka_wrench import FlangeWrench
from carp_ros.rig_devices import Fr3ArmConfig
from carp_ros.robots import Robot
from carp_ros.types import ArmState, Array

_log = logging.getLogger(__name__)

_NO_LINK = "connect first; after a lost link, from a new process"
_NO_CONTROLLER = "its controller is not running: reset"
_MODE_TIMEOUT_S = 2.0
_POLL_S = 0.005
_LONGEST_GAP = 5  # periods; targets further apart in time give no speed
_ANSWERS_S = 10.0  # for the robot's own error recovery
LONGEST_RECOVERY_S = _ANSWERS_S + 2 * _MODE_TIMEOUT_S


class FrankaArm:
    """The arm behind one robot's control interface (FCI).

    Args:
        config: The rig's `arm` section.
        robot: For the ranges of its joints.
        rate_hz: How often `servo` is called.
    """

    def __init__(self, config: Fr3ArmConfig, robot: Robot, rate_hz: float) -> None:
        self._config = config
        self._description = robot
        self._period_s = 1.0 / rate_hz
        self._robot: franky.Robot | None = None
        self._tracker: franky.JointImpedanceTracker | None = None
        self._last: Array | None = None
        self._last_s = 0.0
        self._guided = False
        self._flange = FlangeWrench(np.eye(4), np.eye(4))

    def connect(self) -> None:
        """Open the link, and start the impedance controller where the arm stands.

        A robot that is stopped is connected all the same: `read` says why, and `recover` goes on.

        Raises:
            DeviceError: If nothing answers, the robot is too old, or this kernel is not real-time.
        """
        c = self._config
        enforce = franky.RealtimeConfig.Enforce
        with one_line(self._name, c.host, ARM_PORT), control_loop_priority():
            robot = franky.Robot(
                c.host,
                realtime_config=enforce if c.enforce_realtime else franky.RealtimeConfig.Ignore,
            )
            self._robot = robot
            state = robot.state
            self._flange = FlangeWrench(state.F_T_EE.matrix, state.EE_T_K.matrix)
            robot.set_collision_behavior(c.collision_torque_nm, c.collision_force_n)
            if robot.state.robot_mode == franky.RobotMode.Idle:
                self._start(robot)

    def read(self) -> ArmState:
        """Return the newest state, without waiting for a new one while the controller runs.

        Raises:
            DeviceError: If the link is gone, or the numbers received are not finite.
        """
        robot = self._require_robot()
        controlled = robot.is_in_control
        if self._tracker is not None and not controlled:
            self._forget_motion(robot)
        with one_line(self._name):
            state = robot.state
            wrench = self._flange.of(state.K_F_ext_hat_K, state.O_T_EE.matrix)
        joints, velocities = np.array(state.q), np.array(state.dq)
        if not np.isfinite(joints.sum() + velocities.sum()):
            raise DeviceError(
                f"{self._name} reports joints {joints.tolist()} rad, {velocities.tolist()} rad/s;"
                " expected finite numbers"
            )
        if not np.isfinite(wrench.sum()):
            raise DeviceError(
                f"{self._name} reports the wrench {wrench.tolist()} N, Nm; expected finite numbers"
            )
        safety, explanation = safety_of(state.robot_mode, _latest_errors(state))
        ready = self._tracker is not None and controlled and safety.may_move
        return ArmState(
            robot_time_s=state.time.to_msec() * 1e-3,
            joints=joints,
            velocities=velocities,
            safety=safety,
            ready=ready,
            speed_scaling=1.0,
            explanation=explanation if ready or explanation else _NO_CONTROLLER,
            wrench=wrench,
        )

    def servo(self, joints: Array) -> None:
        """Stream a joint target of shape (7,) in [rad].

        Raises:
            DeviceError: If it is not finite, the link is gone, or the controller does not run.
        """
        self._require_robot()
        if joints.shape != (7,) or not np.isfinite(joints).all():
            raise DeviceError(f"joint target is {joints.tolist()}; expected 7 finite numbers")
        tracker = self._require_control()
        now_s = time.monotonic()
        speed = np.zeros(7)
        if self._last is not None and now_s - self._last_s < _LONGEST_GAP * self._period_s:
            speed = (joints - self._last) / self._period_s
        with one_line(self._name):
            tracker.set_target(joints, speed)
        self._last, self._last_s = joints.copy(), now_s

    def start_guiding(self) -> None:
        """Replace the impedance controller by damping alone; the robot carries the arm's weight.

        Raises:
            DeviceError: If the link is gone, or the robot refuses.
        """
        self._require_control()
        self._guided = True
        c = self._config
        self._restart(c.guided_torque_nm, c.guided_force_n)

    def keep_guiding(self) -> None:
        """Check that the controller runs: the control loop in C++ needs nothing else.

        Raises:
            DeviceError: If the link is gone, or the controller does not run.
        """
        self._require_control()

    def end_guiding(self) -> None:
        """Bring the arm to rest, and start the impedance controller there.

        Raises:
            DeviceError: If the link is gone, or the robot refuses.
        """
        if not self._guided:
            return
        self._require_control()
        self._guided = False
        self._restart(self._config.collision_torque_nm, self._config.collision_force_n)

    def recover(self) -> None:
        """Let the robot recover from its errors, and start the controller where the arm stands.

        Connects first if that was not done.

        Raises:
            DeviceError: If the robot refuses (with its reason) or does not comply in time.
        """
        if self._robot is None:
            self.connect()
        robot = self._require_robot()
        if self.read().ready and not self._guided:
            return
        if self.read().ready:
            self.end_guiding()
            return
        self._guided = False
        self._forget_motion(robot)
        with one_line(self._name):
            mode = robot.state.robot_mode
        if mode == franky.RobotMode.UserStopped:
            raise DeviceError(f"{self._name} is stopped by its user stop; release it, then reset")
        if mode == franky.RobotMode.Reflex:
            with one_line(f"{self._name} did not recover"):
                robot.recover_from_errors()
        self._await_mode(robot, franky.RobotMode.Idle, "it did not leave its reflex")
        with one_line(self._name):
            robot.set_collision_behavior(
                self._config.collision_torque_nm, self._config.collision_force_n
            )
            self._start(robot)

    def close(self) -> None:
        """Bring the arm to rest, end the motion, and close the link."""
        robot, tracker = self._robot, self._tracker
        if robot is not None and tracker is not None:
            try:
                if robot.is_in_control:
                    tracker.stop()
            except FRANKY_ERRORS as error:
                _log.warning("the arm did not confirm its stop: %s", error)
        self._tracker = self._robot = None

    @property
    def _name(self) -> str:
        return f"the arm at {self._config.host}"

    def _require_robot(self) -> franky.Robot:
        if self._robot is None:
            raise DeviceError(f"no link to {self._name}; {_NO_LINK}")
        return self._robot

    def _require_control(self) -> franky.JointImpedanceTracker:
        robot = self._require_robot()
        if self._tracker is None or not robot.is_in_control:
            raise DeviceError(
                f"{self._name} accepted no command: {_NO_CONTROLLER} the fault once what stopped it"
                " is cleared"
            )
        return self._tracker

    def _restart(self, torque_nm: float, force_n: float) -> None:
        """Start another controller; the robot takes thresholds only while nothing moves it."""
        robot, tracker = self._require_robot(), self._require_control()
        with one_line(self._name):
            tracker.stop()
            self._tracker = None
            self._await_mode(robot, franky.RobotMode.Idle, "its controller did not end")
            robot.set_collision_behavior(torque_nm, force_n)
            self._start(robot)

    def _start(self, robot: franky.Robot) -> None:
        """Start the impedance controller with its target where the arm stands.

        While a person guides the arm it has no stiffness, and thus no target.
        """
        c, limits = self._config, self._description
        stiffness, damping = c.stiffness_nm_rad, c.damping_nm_s_rad
        if self._guided:
            stiffness, damping = np.zeros(7), np.full(7, c.guided_damping_nm_s_rad)
        self._last = None
        with control_loop_priority():
            self._tracker = franky.JointImpedanceTracker(
                robot,
                stiffness=np.array(stiffness),
                damping=np.array(damping),
                lower_joint_limits=np.array(limits.lower_rad),
                upper_joint_limits=np.array(limits.upper_rad),
            )
        self._await_mode(robot, franky.RobotMode.Move, "its controller did not start")

    def _forget_motion(self, robot: franky.Robot) -> None:
        """Take the reason why the last motion ended, or the next one would raise it.

        Raises:
            DeviceError: If the link is gone: to ask for a state would then take libfranka a second.
        """
        self._tracker = None
        try:
            with one_line(self._name):
                robot.join_motion()
        except DeviceError as error:
            if isinstance(error.__cause__, franky.NetworkException):
                raise
            _log.info("the last motion ended: %s", error)

    def _await_mode(self, robot: franky.Robot, mode: franky.RobotMode, failure: str) -> None:
        deadline_s = time.monotonic() + _MODE_TIMEOUT_S
        while True:
            with one_line(self._name):
                now = robot.state.robot_mode
            if now == mode:
                return
            if time.monotonic() > deadline_s:
                raise DeviceError(
                    f"{self._name}: {failure} within {_MODE_TIMEOUT_S:g} s; it is in {now.name}"
                )
            time.sleep(_POLL_S)


def _latest_errors(state: franky.RobotState) -> franky.Errors:
    """Return the active errors, or those that ended the last motion if none is active now."""
    return state.current_errors if state.current_errors else state.last_motion_errors
