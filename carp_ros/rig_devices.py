"""The sections of a rig's file that say which driver a device has, one dataclass a driver.

What the rest of the package must know of a driver before it loads it, such as how fast it may be
commanded and how long a recovery takes, stands with its section: a client library is then needed
where its device is, and nowhere else.
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
    """What the section of every arm has.

    Attributes:
        robots: Names of the robots that the driver moves.
        fastest_hz: The most joint targets that it takes in a second.
        recovery_s: The longest that its `recover` may block.
        ports: TCP ports of its controller.
        driver: Its name; a literal in each subclass.
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
        """Yield why this section does not fit a robot that gets `rate_hz` joint targets a second.

        Each reason names its keys as they stand in the rig's file.
        """
        if robot not in self.robots:
            yield (
                f"robot is {robot}, but arm.driver is {self.driver}, which moves"
                f" {', '.join(self.robots)} alone; expected a robot and its own driver"
            )
        if rate_hz > self.fastest_hz:
            yield (
                f"servo.rate_hz is {rate_hz:g}; arm.driver {self.driver} takes"
                f" {self.fastest_hz:g} targets a second at most"
            )
        yield from _too_fast("1 / arm.state_timeout_s", 1.0 / self.state_timeout_s, rate_hz)


@dataclass(frozen=True)
class UrArmConfig(ArmSection):
    """How to reach a UR arm and how it follows joint targets (servoJ).

    Attributes:
        driver: `ur` (ur-rtde).
        gain: servoJ proportional gain; higher follows stiffer, and a real arm hums at 2000.
        lookahead_s: servoJ smoothing; the arm lags by about this much.
        watchdog_hz: The robot stops its program when commands come slower than this.
    """

    robots: ClassVar[tuple[str, ...]] = ("ur5e",)
    fastest_hz: ClassVar[float] = 500.0
    recovery_s: ClassVar[float] = 75.0  # powering up and releasing the brakes included
    ports: ClassVar[tuple[int, ...]] = (29999, 30001, 30002, 30003, 30004, 30011, 30012, 30013)

    driver: Literal["ur"] = "ur"
    gain: Annotated[float, Between(100.0, 2000.0)] = 2000.0
    lookahead_s: Annotated[float, Between(0.03, 0.2)] = 0.03
    watchdog_hz: Annotated[float, Between(10.0, 100.0)] = 20.0

    def unfit_for(self, robot: str, rate_hz: float) -> Iterator[str]:
        """Yield what does not fit, the controller's watchdog included."""
        yield from super().unfit_for(robot, rate_hz)
        yield from _too_fast("arm.watchdog_hz", self.watchdog_hz, rate_hz)


ArmConfig = UrArmConfig
"""Of all drivers, told apart by `driver`; the section of another joins as `UrArmConfig | ...`."""

LONGEST_RECOVERY_S = UrArmConfig.recovery_s
"""Of all drivers: for a program that asks an arm to recover and does not know which arm it is."""


@dataclass(frozen=True)
class RobotiqConfig:
    """How to reach the gripper. `speed`, `force`: 0 to 1 of the device's range, never nothing."""

    driver: Literal["robotiq"] = "robotiq"
    host: Host = "127.0.0.2"
    port: Port = 63352
    speed: Annotated[float, Between(0.0, 1.0)] = 1.0
    force: Annotated[float, Between(0.0, 1.0)] = 0.2


GripperConfig = RobotiqConfig
"""Of all drivers, as `ArmConfig` is."""


_Pixels = Annotated[int, Between(16, 4096)]


@dataclass(frozen=True)
class CameraSection:
    """What the section of every camera has; its images come on `<name>/image_raw`.

    Attributes:
        driver: Its name; a literal in each subclass.
        width_px, height_px: Of each image; even, as video has it.
        rate_hz: How many a second.
    """

    driver: str = ""
    width_px: _Pixels = 320
    height_px: _Pixels = 240
    rate_hz: Annotated[float, Between(1.0, 240.0)] = 30.0

    def contradictions(self) -> Iterator[str]:
        """Yield what these numbers may not be."""
        for name in ("width_px", "height_px"):
            if getattr(self, name) % 2:
                yield f"{name} is {getattr(self, name)}; expected an even number, as video has it"


@dataclass(frozen=True)
class CellCameraConfig(CameraSection):
    """A camera of the simulated cell, which draws it."""

    driver: Literal["cell"] = "cell"


@dataclass(frozen=True)
class ExternalCameraConfig(CameraSection):
    """A camera whose images a ROS driver publishes that is no part of this package."""

    driver: Literal["external"] = "external"


CameraConfig = CellCameraConfig | ExternalCameraConfig
"""Of all drivers, told apart by `driver`."""


def optical_frame(camera: str) -> str:
    """Return the name of a camera's frame: x right, y down, z ahead."""
    return f"{camera}_optical_frame"


def _too_fast(name: str, at_most_hz: float, rate_hz: float) -> Iterator[str]:
    """Yield that something waits for less than five ticks of the servo, if it does."""
    if at_most_hz * 5.0 > rate_hz * (1.0 + 1e-9):
        yield (
            f"{name} is {at_most_hz:g} Hz; expected a fifth of servo.rate_hz at most,"
            f" {rate_hz / 5.0:g} Hz: a few late ticks would stop the arm"
        )
