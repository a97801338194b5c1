"""The sections of a rig file for arm and gripper, one dataclass per driver.

What the package must know about a driver before loading it, such as its command rate and the
duration of a recovery, is part of its section. A client library is thus needed only where its
device is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from carp_ros.strict import Between, Matching, Otherwise, Sized

SevenNumbers = tuple[float, float, float, float, float, float, float]

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
TopicName = Annotated[
    str,
    Matching(
        r"(?=.{2,200}$)(?!.*__)(/[A-Za-z_][A-Za-z0-9_]*)+",
        "an absolute name in ROS's graph, as /joint_states",
    ),
]


@dataclass(frozen=True)
class ArmSection:
    """Fields common to the sections of all arms.

    Attributes:
        robots: Names of the robots that the driver supports.
        fastest_hz: Highest rate of joint targets that it accepts.
        recovery_s: Longest time that its `recover` may block.
        ports: TCP ports of its controller.
        services: Those that the driver connects to, with the services' names.
        often_port: One that may be connected to often without disturbing the robot, open or closed.
        round_trip_s: Round trip on the network within which commands arrive in time.
        library_priority: SCHED_FIFO priority that the client library's own loop asks for.
        tells_safety: Whether the driver knows the state of the robot's safety controller.
        driver: Name of the driver; a literal in each subclass.
        state_timeout_s: Robot state older than this stops the arm and latches a fault.
    """

    robots: ClassVar[tuple[str, ...]]
    fastest_hz: ClassVar[float]
    recovery_s: ClassVar[float]
    ports: ClassVar[tuple[int, ...]]
    services: ClassVar[Mapping[int, str]]
    often_port: ClassVar[int]
    round_trip_s: ClassVar[float]
    library_priority: ClassVar[int] = 0
    tells_safety: ClassVar[bool] = True

    driver: str = ""
    state_timeout_s: Annotated[float, Between(0.02, 0.5)] = 0.1

    @property
    def needs_realtime_kernel(self) -> bool:
        """Whether the arm does not move without a real-time kernel."""
        return False

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


UrAxis = Literal["x", "y", "z", "rx", "ry", "rz"]
UR_AXES: tuple[UrAxis, ...] = ("x", "y", "z", "rx", "ry", "rz")
"""Along x, y and z, and about them, in URScript's order."""


@dataclass(frozen=True)
class UrArmConfig(ArmSection):
    """Address of a UR arm, and how it follows joint targets (servoJ).

    Attributes:
        driver: `ur` (ur-rtde).
        host: Address of the controller.
        gain: servoJ proportional gain; a higher gain tracks more stiffly, and a real arm hums at
            2000.
        lookahead_s: servoJ look-ahead time (smoothing); the arm lags by about this much.
        watchdog_hz: The robot stops its program if commands arrive at a lower rate than this.
        guided_axes: Along and about which axes a person who guides the arm may move the tool; the
            others are held. PolyScope 5.10 or later, unless it is all.
        guided_frame: Whose axes these are: `base`, or `tool`, those of the TCP set at the pendant
            as they are when the arm is freed. The tool turns about that TCP.
    """

    robots: ClassVar[tuple[str, ...]] = ("ur5e",)
    fastest_hz: ClassVar[float] = 500.0
    recovery_s: ClassVar[float] = 75.0  # including power-up and brake release
    ports: ClassVar[tuple[int, ...]] = (29999, 30001, 30002, 30003, 30004, 30011, 30012, 30013)
    services: ClassVar[Mapping[int, str]] = {
        29999: "Dashboard Server",
        30003: "Real-Time Client Interface",
        30004: "RTDE",
    }
    often_port: ClassVar[int] = 29999
    round_trip_s: ClassVar[float] = 0.002  # one of the controller's cycles

    driver: Literal["ur"] = "ur"
    host: Host = "127.0.0.2"
    gain: Annotated[float, Between(100.0, 2000.0)] = 2000.0
    lookahead_s: Annotated[float, Between(0.03, 0.2)] = 0.03
    watchdog_hz: Annotated[float, Between(10.0, 100.0)] = 20.0
    guided_axes: Annotated[tuple[UrAxis, ...], Sized(1, 6)] = UR_AXES
    guided_frame: Literal["base", "tool"] = "base"

    def contradictions(self) -> Iterator[str]:
        """Yield invalid values."""
        for axis in UR_AXES:
            if self.guided_axes.count(axis) > 1:
                yield f"guided_axes has {axis} more than once; expected each axis once at most"

    def unfit_for(self, robot: str, rate_hz: float) -> Iterator[str]:
        """Yield what does not fit, including the controller's watchdog."""
        yield from super().unfit_for(robot, rate_hz)
        yield from _too_fast("arm.watchdog_hz", self.watchdog_hz, rate_hz)


@dataclass(frozen=True)
class Fr3ArmConfig(ArmSection):
    """Address of a Franka FR3, and how stiffly it follows joint targets (joint impedance).

    Attributes:
        driver: `fr3` (franky-control).
        host: Address of the robot.
        stiffness_nm_rad: Torque per angle by which a joint is off its target; a contact yields more
            if it is lower. Source of the defaults: libfranka's joint impedance example.
        damping_nm_s_rad: Torque per difference of the joint's speed from its target's.
        collision_torque_nm: The robot stops with a reflex if something turns a joint harder.
        collision_force_n: The robot stops with a reflex if something pushes its tool harder.
        guided_damping_nm_s_rad: Torque per joint speed against a person who guides the arm.
        guided_torque_nm, guided_force_n: As the two above, while a person guides the arm.
        enforce_realtime: Whether libfranka refuses to move the arm without a real-time kernel.
    """

    robots: ClassVar[tuple[str, ...]] = ("fr3",)
    fastest_hz: ClassVar[float] = 1000.0
    recovery_s: ClassVar[float] = 20.0
    ports: ClassVar[tuple[int, ...]] = (1337, 1338)
    services: ClassVar[Mapping[int, str]] = {1337: "FCI"}
    often_port: ClassVar[int] = 443  # Desk's; the FCI serves one client
    round_trip_s: ClassVar[float] = 0.0005  # of the 1 ms that Franka allows for a whole cycle
    library_priority: ClassVar[int] = 99

    driver: Literal["fr3"] = "fr3"
    host: Host = "127.0.0.2"
    stiffness_nm_rad: Annotated[SevenNumbers, Between(5.0, 1500.0)] = (
        *(600.0, 600.0, 600.0, 600.0),
        *(250.0, 150.0, 50.0),
    )
    damping_nm_s_rad: Annotated[SevenNumbers, Between(1.0, 100.0)] = (
        *(50.0, 50.0, 50.0, 50.0),
        *(30.0, 25.0, 15.0),
    )
    collision_torque_nm: Annotated[float, Between(1.0, 87.0)] = 20.0
    collision_force_n: Annotated[float, Between(1.0, 100.0)] = 30.0
    guided_damping_nm_s_rad: Annotated[float, Between(0.1, 20.0)] = 2.0
    guided_torque_nm: Annotated[float, Between(1.0, 87.0)] = 40.0
    guided_force_n: Annotated[float, Between(1.0, 100.0)] = 80.0
    enforce_realtime: bool = True

    @property
    def needs_realtime_kernel(self) -> bool:
        """Whether libfranka refuses to move the arm without a real-time kernel."""
        return self.enforce_realtime


@dataclass(frozen=True)
class Ros2ControlArmConfig(ArmSection):
    """An arm behind its vendor's ros2_control driver (`ur_robot_driver`, `franka_ros2`).

    The topics are absolute names, as the vendor's driver is not in this system's namespace.

    Attributes:
        host: Empty: only the vendor's driver knows the arm's address.
        driver: `ros2_control`.
        interface: What the controller takes: `forward_position`, positions for its next cycle, or
            `joint_trajectory`, trajectories that it interpolates.
        controller: Full name of the controller's node.
        joint_states_topic: The joint state broadcaster's own topic, not one merged at a low rate.
        joint_prefix: Put before the robot's joint names, as the vendor's `tf_prefix` is.
        program_running_topic: Tells whether the robot runs the driver's program; None: not asked.
        speed_scaling_topic: Tells the share of commanded speed that the robot executes, in percent;
            None: all of it.
        horizon_s: For `joint_trajectory`: time that the controller gets to reach each target.
        follow_within_s: A joint that is where none of the targets of this time was does not follow.
        follow_tolerance_rad: How far off it may be all the same.
    """

    robots: ClassVar[tuple[str, ...]] = ("ur5e", "fr3")
    fastest_hz: ClassVar[float] = 1000.0
    recovery_s: ClassVar[float] = 10.0
    ports: ClassVar[tuple[int, ...]] = ()
    host: ClassVar[str] = ""
    tells_safety: ClassVar[bool] = False

    driver: Literal["ros2_control"] = "ros2_control"
    interface: Literal["forward_position", "joint_trajectory"] = "forward_position"
    controller: TopicName = "/forward_position_controller"
    joint_states_topic: TopicName = "/joint_states"
    joint_prefix: Annotated[str, Matching("[A-Za-z0-9_/]{0,60}", "letters, digits, _ and /")] = ""
    program_running_topic: TopicName | None = None
    speed_scaling_topic: TopicName | None = None
    horizon_s: Annotated[float, Between(0.004, 0.2)] = 0.02
    follow_within_s: Annotated[float, Between(0.05, 1.0)] = 0.2
    follow_tolerance_rad: Annotated[float, Between(0.005, 0.3)] = 0.03


ArmConfig = Annotated[UrArmConfig | Fr3ArmConfig | Ros2ControlArmConfig, Otherwise("ur")]
"""Sections of all arm drivers, distinguished by `driver`."""

LONGEST_RECOVERY_S = max(
    UrArmConfig.recovery_s, Fr3ArmConfig.recovery_s, Ros2ControlArmConfig.recovery_s
)
"""Longest recovery of all drivers, for programs that do not know which arm they recover."""


@dataclass(frozen=True)
class RobotiqConfig:
    """Address and settings of the gripper.

    Attributes:
        finger_travel_m: Way of each finger from closed to open, by the 2F-85's manual.
        driver: `robotiq`.
        host, port: Address of the gripper's URCap.
        speed, force: 0 to 1 of the device's range; 0 is its minimum, not zero.
    """

    finger_travel_m: ClassVar[float] = 0.0425

    driver: Literal["robotiq"] = "robotiq"
    host: Host = "127.0.0.2"
    port: Port = 63352
    speed: Annotated[float, Between(0.0, 1.0)] = 1.0
    force: Annotated[float, Between(0.0, 1.0)] = 0.2


@dataclass(frozen=True)
class FrankaHandConfig:
    """Address and settings of a Franka Hand.

    Attributes:
        port: TCP port of the hand's server on the robot; fixed.
        finger_travel_m: Way of each finger from closed to open, by the hand's data sheet.
        driver: `franka_hand` (franky-control).
        host: Address of the robot.
        speed_m_s: Of the fingers relative to each other.
        force_n: Of the grasp.
    """

    port: ClassVar[int] = 1338
    finger_travel_m: ClassVar[float] = 0.04

    driver: Literal["franka_hand"] = "franka_hand"
    host: Host = "127.0.0.2"
    speed_m_s: Annotated[float, Between(0.01, 0.2)] = 0.1
    force_n: Annotated[float, Between(5.0, 70.0)] = 30.0


GripperConfig = Annotated[RobotiqConfig | FrankaHandConfig, Otherwise("robotiq")]
"""Sections of all gripper drivers, like `ArmConfig`."""


def _too_fast(name: str, at_most_hz: float, rate_hz: float) -> Iterator[str]:
    """Yield an error if a timeout is shorter than five servo ticks."""
    if at_most_hz * 5.0 > rate_hz * (1.0 + 1e-9):
        yield (
            f"{name} is {at_most_hz:g} Hz; expected at most a fifth of servo.rate_hz,"
            f" {rate_hz / 5.0:g} Hz: a few late ticks would stop the arm"
        )
