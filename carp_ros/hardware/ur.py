"""A UR e-Series arm through ur-rtde (PolyScope 5.6 and later).

Two properties of ur-rtde 1.6.5 shape this file. It crashes the interpreter (SIGSEGV) when its RTDE
connection drops, so this driver runs in a process that may die and be restarted. And on a dead link
it returns True for a target that was never received, so only `read` tells what the arm does: a
`robot_time_s` that stops advancing means that the link is dead. The controller's watchdog then
stops the arm.

When it does not crash, ur-rtde reconnects by itself, starts the program without a watchdog, resends
the last target and would keep moving the arm. Its receive interface does not reconnect: from then
on `servo` refuses targets, and the arm comes to rest at the last one.
"""

from __future__ import annotations

import logging
import math
import time

import numpy as np
from rtde_control import RTDEControlInterface
from rtde_receive import RTDEReceiveInterface

from carp_ros.errors import DeviceError
from carp_ros.hardware import ur_dashboard
from carp_ros.hardware.ur_dashboard import Dashboard, wait_for
from carp_ros.hardware.ur_freedrive import Freedrive
from carp_ros.hardware.ur_ports import REAL_TIME, RTDE, closed_port
from carp_ros.hardware.ur_safety import safety_of
from carp_ros.rig_devices import UrArmConfig
from carp_ros.types import ArmState, Array

_log = logging.getLogger(__name__)

_CYCLE_S = 0.002
_VARIABLES = [
    "timestamp",
    "actual_q",
    "actual_qd",
    "safety_mode",
    "runtime_state",
    "speed_scaling",
    "target_speed_fraction",
    "actual_TCP_force",
]
_NO_LINK = "connect first; after a lost link, from a new process"
_PLAYING = 2  # RTDE runtime_state
_NOT_PLAYING = (
    "our program is not running on its controller: stopped at the pendant, or our commands came too"
    " late"
)
_PROGRAM_TIMEOUT_S = 5.0
_FRESH_TIMEOUT_S = 0.1
_ANSWERS_S = 5.0  # for the controller's responses, on top of the timeouts above
LONGEST_RECOVERY_S = ur_dashboard.LONGEST_S + _PROGRAM_TIMEOUT_S + _FRESH_TIMEOUT_S + _ANSWERS_S


class UrArm:
    """The arm behind one UR controller.

    `connect` and `recover` start the controller's watchdog: from then on `servo` must be called at
    least every 1 / `watchdog_hz`, or the arm's program stops and `ready` is False.

    Args:
        config: The rig's `arm` section.
        rate_hz: How often `servo` is called; the controller spreads each target over that period.

    Raises:
        ValueError: If gain or look-ahead time is outside servoJ's range.
    """

    def __init__(self, config: UrArmConfig, rate_hz: float = 1.0 / _CYCLE_S) -> None:
        if not 100.0 <= config.gain <= 2000.0:
            raise ValueError(f"arm.gain is {config.gain:g}; servoJ takes 100 to 2000")
        if not 0.03 <= config.lookahead_s <= 0.2:
            raise ValueError(f"arm.lookahead_s is {config.lookahead_s:g}; servoJ takes 0.03 to 0.2")
        self._config = config
        self._freedrive = Freedrive(config)
        self._period_s = 1.0 / rate_hz
        self._control: RTDEControlInterface | None = None
        self._receive: RTDEReceiveInterface | None = None
        self._guided = False  # or may be, if the controller did not answer

    def connect(self) -> None:
        """Open the link and start ur-rtde's program on the controller, without moving the arm.

        Raises:
            DeviceError: If nothing answers, the arm is not operational, or another client uses it.
        """
        with Dashboard(self._config.host) as dashboard:
            dashboard.require_remote_control()
            self._freedrive.require_support(dashboard)
            dashboard.require_operational()
        self._open()

    def read(self) -> ArmState:
        """Return the newest state, without waiting for a new one.

        Raises:
            DeviceError: If the link is gone, or the numbers received are not finite.
        """
        receive = self._receive
        if receive is None or not receive.isConnected():
            raise DeviceError(f"no link to the arm at {self._config.host}; {_NO_LINK}")
        joints, velocities = receive.getActualQ(), receive.getActualQd()
        if not math.isfinite(sum(joints) + sum(velocities)):
            raise DeviceError(
                f"the arm at {self._config.host} reports joints {joints} rad, {velocities} rad/s;"
                " expected finite numbers"
            )
        wrench = _in_base_link(receive.getActualTCPForce())
        if not math.isfinite(sum(wrench)):
            raise DeviceError(
                f"the arm at {self._config.host} reports the wrench {wrench} N, Nm; expected finite"
                " numbers"
            )
        safety, explanation = safety_of(receive.getSafetyMode())
        playing = receive.getRuntimeState() == _PLAYING
        if safety.may_move:
            explanation = "" if playing else _NOT_PLAYING
        return ArmState(
            robot_time_s=receive.getTimestamp(),
            joints=np.array(joints),
            velocities=np.array(velocities),
            safety=safety,
            ready=playing and safety.may_move,
            speed_scaling=receive.getSpeedScaling() * receive.getTargetSpeedFraction(),
            explanation=explanation,
            wrench=np.array(wrench),
        )

    def servo(self, joints: Array) -> None:
        """Stream a joint target of shape (6,) in [rad].

        Raises:
            DeviceError: If it is not finite, the link is gone, or the controller's program does
                not run.
        """
        control, _ = self._linked()
        if joints.shape != (6,) or not np.isfinite(joints).all():
            raise DeviceError(f"joint target is {joints.tolist()}; expected 6 finite numbers")
        c = self._config
        try:
            taken = control.servoJ(joints.tolist(), 0.0, 0.0, self._period_s, c.lookahead_s, c.gain)
        except RuntimeError as error:  # ur-rtde tried to reconnect
            raise DeviceError(f"no link to the arm at {c.host}: {error}; {_NO_LINK}") from error
        if not taken:
            raise DeviceError(
                f"the arm at {c.host} accepted no joint target: its program is not running; clear"
                " what stopped it, then reset the fault"
            )

    def start_guiding(self) -> None:
        """Enter UR's freedrive, which relies on the payload set at the pendant.

        The axes of the tool's frame stay those that it has now.

        Raises:
            DeviceError: If the link is gone, or the controller's program does not run.
        """
        control, receive = self._linked()
        self._guided = True
        # In ur-rtde's program servoJ runs in a thread of its own; only one may control the arm.
        free = control.servoStop() and self._freedrive.begin(control, receive)
        self._accept(free, "did not enter freedrive")

    def keep_guiding(self) -> None:
        """Feed the controller's watchdog.

        Raises:
            DeviceError: If the link is gone, or the controller's program does not run.
        """
        control, _ = self._linked()
        self._accept(control.kickWatchdog(), "ended freedrive")

    def end_guiding(self) -> None:
        """Leave freedrive.

        Raises:
            DeviceError: If the link is gone, or the controller's program does not run; then its
                freedrive has ended, too.
        """
        if not self._guided:
            return
        control, _ = self._linked()
        if not self._alive():  # ur-rtde would wait for minutes
            raise DeviceError(f"the arm at {self._config.host} sends no state; {_NO_LINK}")
        self._accept(self._freedrive.end(control), "did not confirm the end of its freedrive")
        self._guided = False

    def recover(self) -> None:
        """Unlock a protective stop, power the arm, release its brakes and restart the program.

        Only the steps needed are taken; nothing moves. Connects first if that was not done.

        Raises:
            DeviceError: If the controller refuses (with its reason) or does not comply in time.
        """
        with Dashboard(self._config.host) as dashboard:
            dashboard.require_remote_control()
            self._freedrive.require_support(dashboard)
            dashboard.clear_safety()
            dashboard.power_up()
        if self._control is None:
            self._open()
        elif not self._alive():
            raise DeviceError(f"the arm at {self._config.host} sends no state; {_NO_LINK}")
        elif self.read().ready and self._control.isProgramRunning() and not self._guided:
            self._start_watchdog(self._control)  # ur-rtde may have restarted the program without it
        else:
            self._restart_program(self._control)

    def close(self) -> None:
        """Stop the arm and its program, and close the link; takes 1 s, and 6 s on a dead link."""
        control = self._control
        # On a dead link the stop commands would never return; the watchdog stops the arm instead.
        if control is not None and self._alive():
            try:
                if self._guided:
                    self._freedrive.end(control)
                control.servoStop()
                control.stopScript()
            except RuntimeError as error:
                _log.warning("the arm did not confirm its stop: %s", error)
        # The destructors disconnect; an explicit disconnect would only take another second.
        self._control = self._receive = None

    def _open(self) -> None:
        host = self._config.host
        try:
            self._receive = RTDEReceiveInterface(
                host, 1.0 / _CYCLE_S, [*_VARIABLES, *self._freedrive.variables]
            )
            self._control = RTDEControlInterface(host)
            self._guided = False
        except RuntimeError as error:
            self._receive = None
            if "already in use" in str(error):
                raise DeviceError(
                    f"another program commands the arm at {host}; stop it, or the fieldbus that"
                    " holds the controller's RTDE inputs"
                ) from error
            why = closed_port(host, (RTDE, REAL_TIME)) or f"at {host}: {error}"
            raise DeviceError(f"no RTDE link to the arm: {why}") from error
        self._start_watchdog(self._control)

    def _restart_program(self, control: RTDEControlInterface) -> None:
        # Registers outlive the program: an old target left in them would move the arm as soon as
        # the new program starts. With no program running, ur-rtde clears them on any command.
        control.kickWatchdog()
        if not control.reuploadScript():
            raise DeviceError(f"the arm at {self._config.host} accepted no program; connect again")
        wait_for(control.isProgramRunning, _PROGRAM_TIMEOUT_S, "its program did not start")
        self._guided = False
        self._start_watchdog(control)

    def _linked(self) -> tuple[RTDEControlInterface, RTDEReceiveInterface]:
        control, receive = self._control, self._receive
        if control is None or receive is None or not receive.isConnected():
            raise DeviceError(f"no link to the arm at {self._config.host}; {_NO_LINK}")
        return control, receive

    def _accept(self, done: bool, problem: str) -> None:
        if not done:
            raise DeviceError(
                f"the arm at {self._config.host} {problem}: {_NOT_PLAYING}; clear what stopped it,"
                " then reset the fault"
            )

    def _start_watchdog(self, control: RTDEControlInterface) -> None:
        if not control.setWatchdog(self._config.watchdog_hz):
            raise DeviceError(
                f"the arm at {self._config.host} did not start its watchdog; reset the fault"
            )

    def _alive(self) -> bool:
        """Return whether the controller's clock advances."""
        receive = self._receive
        if receive is None or not receive.isConnected():
            return False
        before_s = receive.getTimestamp()
        deadline_s = time.monotonic() + _FRESH_TIMEOUT_S
        while receive.getTimestamp() == before_s:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_CYCLE_S)
        return True


def _in_base_link(numbers: list[float]) -> tuple[float, ...]:
    """Return an e-Series `actual_TCP_force` in the axes of `base_link`.

    Whatever its name says, it is about the flange, not the TCP, and in the axes of UR's own `base`,
    which is `base_link` turned by pi about z. Source: Universal_Robots_ROS2_Driver.
    """
    fx, fy, fz, tx, ty, tz = numbers
    return -fx, -fy, fz, -tx, -ty, tz
