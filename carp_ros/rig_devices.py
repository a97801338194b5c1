"""The sections of a rig file that select the driver of a device, one dataclass per driver.

What the package must know about a driver before loading it, such as its command rate and the
duration of a recovery, is part of its section. A client library is thus needed only where its
device is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from carp_ros.strict import Between, Matching

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
Host = Annotated[
    str,
    Matching(
        rf"{_OCTET}(\.{_OCTET}){{3}}|(?=.{{1,253}}$)(?![0-9.]+$){_LABEL}(\.{_LABEL})*",
        "an IPv4 address or a host name, as 192.168.1.10",
    ),
]
Port = Annotated[int, Between(1, 65535)]


@dataclass(frozen=True)
class ArmSection:
    """Fields common to the sections of all arms.

    Attributes:
        robots: Names of the robots that the driver supports.
        fastest_hz: Highest rate of joint targets that it accepts.
        recovery_s: Longest time that its `recover` may block.
        ports: TCP ports of its controller.
        driver: Name of the driver; a literal in each subclass.
        host: Address of the controller.
        state_timeout_s: Robot state older than this stops the arm and latches a fault.
    """

    robots: ClassVar[tuple[str, ...]]
    fastest_hz: ClassVar[float]
    recovery_s: ClassVar[float]
    ports: ClassVar[tuple[int, ...]]

    driver: str = ""
    host: Host = "127.0.0.2"
    state_timeout_s: Annotated[float, Between(0.02, 0.5)] = 0.1

    def unfit_for(self, robot: str, rate_hz: float) -> Iterator[str]:
        """Yield why this section does not fit a robot, or joint targets at a rate of `rate_hz`.

        Each reason names the keys as in the rig file.
        """
        if robot not in self.robots:
            yield (
                f"robot is {robot}, but arm.driver is {self.driver}, which supports only"
                f" {', '.join(self.robots)}; expected a robot and its own driver"
            )
        if rate_hz > self.fastest_hz:
            yield (
                f"servo.rate_hz is {rate_hz:g}; arm.driver {self.driver} takes"
                f" at most {self.fastest_hz:g} targets per second"
            )
        yield from _too_fast("1 / arm.state_timeout_s", 1.0 / self.state_timeout_s, rate_hz)


@dataclass(frozen=True)
class UrArmConfig(ArmSection):
    """Address of a UR arm, and how it follows joint targets (servoJ).

    Attributes:
        driver: `ur` (ur-rtde).
        gain: servoJ proportional gain; a higher gain tracks more stiffly, and a real arm hums at
            2000.
        lookahead_s: servoJ look-ahead time (smoothing); the arm lags by about this much.
        watchdog_hz: The robot stops its program if commands arrive at a lower rate than this.
    """

    robots: ClassVar[tuple[str, ...]] = ("ur5e",)
    fastest_hz: ClassVar[float] = 500.0
    recovery_s: ClassVar[float] = 75.0  # including power-up and brake release
    ports: ClassVar[tuple[int, ...]] = (29999, 30001, 30002, 30003, 30004, 30011, 30012, 30013)

    driver: Literal["ur"] = "ur"
    gain: Annotated[float, Between(100.0, 2000.0)] = 2000.0
    lookahead_s: Annotated[float, Between(0.03, 0.2)] = 0.03
    watchdog_hz: Annotated[float, Between(10.0, 100.0)] = 20.0

    def unfit_for(self, robot: str, rate_hz: float) -> Iterator[str]:
        """Yield what does not fit, including the controller's watchdog."""
        yield from super().unfit_for(robot, rate_hz)
        yield from _too_fast("arm.watchdog_hz", self.watchdog_hz, rate_hz)


ArmConfig = UrArmConfig
"""Sections of all arm drivers, distinguished by `driver`; add another as `UrArmConfig | ...`."""

LONGEST_RECOVERY_S = UrArmConfig.recovery_s
"""Longest recovery of all drivers, for programs that do not know which arm they recover."""


@dataclass(frozen=True)
class RobotiqConfig:
    """Address and settings of the gripper.

    Attributes:
        driver: `robotiq`.
        host, port: Address of the gripper's URCap.
        speed, force: 0 to 1 of the device's range; 0 is its minimum, not zero.
    """

    driver: Literal["robotiq"] = "robotiq"
    host: Host = "127.0.0.2"
    port: Port = 63352
    speed: Annotated[float, Between(0.0, 1.0)] = 1.0
    force: Annotated[float, Between(0.0, 1.0)] = 0.2


GripperConfig = RobotiqConfig
"""Sections of all gripper drivers, like `ArmConfig`."""


_Pixels = Annotated[int, Between(16, 4096)]


@dataclass(frozen=True)
class CameraSection:
    """Fields common to the sections of all cameras; images arrive on `<name>/image_raw`.

    Attributes:
        driver: Name of the driver; a literal in each subclass.
        width_px, height_px: Image size; even, as video encoding requires.
        rate_hz: Images per second.
    """

    driver: str = ""
    width_px: _Pixels = 320
    height_px: _Pixels = 240
    rate_hz: Annotated[float, Between(1.0, 240.0)] = 30.0

    def contradictions(self) -> Iterator[str]:
        """Yield invalid values."""
        for name in ("width_px", "height_px"):
            if getattr(self, name) % 2:
                yield f"{name} is {getattr(self, name)}; expected an even number, as video requires"


@dataclass(frozen=True)
class CellCameraConfig(CameraSection):
    """A camera rendered by the simulated cell."""

    driver: Literal["cell"] = "cell"


@dataclass(frozen=True)
class ExternalCameraConfig(CameraSection):
    """A camera whose images are published by a ROS driver that is not part of this package."""

    driver: Literal["external"] = "external"


CameraConfig = CellCameraConfig | ExternalCameraConfig
"""Sections of all camera drivers, distinguished by `driver`."""


def optical_frame(camera: str) -> str:
    """Return the name of a camera's optical frame: x right, y down, z forward."""
    return f"{camera}_optical_frame"


def _too_fast(name: str, at_most_hz: float, rate_hz: float) -> Iterator[str]:
    """Yield an error if a timeout is shorter than five servo ticks."""
    if at_most_hz * 5.0 > rate_hz * (1.0 + 1e-9):
        yield (
            f"{name} is {at_most_hz:g} Hz; expected at most a fifth of servo.rate_hz,"
            f" {rate_hz / 5.0:g} Hz: a few late ticks would stop the arm"
        )
