"""The sections of a rig file, one frozen dataclass each, with the meaning and range of each value.

The range of a value is given in its annotation; conditions between values of one section are in its
`contradictions`. The sections that depend on a driver are elsewhere: arms and grippers in
`rig_devices.py`, cameras in `rig_cameras.py`, pointers in `rig_pointers.py`; conditions between
sections are in `rig.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Annotated, Literal

import numpy as np

from carp_ros.rig_pointers import PointerConfig, SpaceMouseConfig
from carp_ros.strict import Between, Matching, Name, Sized, Unit
from carp_ros.types import Pose

Vector3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
SixNumbers = tuple[float, float, float, float, float, float]

TaskName = Literal["cup", "bowl", "two_cups", "unseen_cups", "two_fields", "cup_or_bowl"]
"""Tasks of a simulated cell, as in `sim/tasks.py`."""

LevelName = Literal["none", "normal", "hard"]
"""Levels of randomisation of a simulated cell: the names in `sim/levels.py`."""

RigName = Annotated[
    str,
    Matching(r"\w[\w .()+-]{0,62}", "a file name of letters, digits, spaces and _ - . + ( )"),
]
Seed = Annotated[int, Between(0, 2**31 - 1)]


@dataclass(frozen=True, slots=True)
class Lead:
    """How much earlier than planned commands are sent to the arm and to the gripper, in [ns]."""

    action_ns: int = 0
    gripper_ns: int = 0


NO_LEAD = Lead()


@dataclass(frozen=True)
class ToolConfig:
    """Pose of the tool centre point in the flange frame, in [m] and xyzw."""

    position_m: Annotated[Vector3, Between(-1.0, 1.0)] = (0.0, 0.0, 0.1558)
    quaternion: Annotated[Quaternion, Unit()] = (0.0, 0.0, 0.0, 1.0)

    @property
    def flange_from_tcp(self) -> Pose:
        """The same as a pose, with the quaternion normalised."""
        quaternion = np.array(self.quaternion)
        return Pose(np.array(self.position_m), quaternion / np.linalg.norm(quaternion))


@dataclass(frozen=True)
class LimitsConfig:
    """Software limits (not safety-rated); doc/safety.md describes their effects.

    Attributes:
        workspace_min_m, workspace_max_m: The box, in the base frame, that the TCP stays inside.
        max_linear_speed_m_s, max_angular_speed_rad_s: Of the TCP.
        max_linear_acceleration_m_s2, max_angular_acceleration_rad_s2: Of the TCP.
        max_joint_speed_rad_s: Of every joint, but never above half of the robot's own limit.
        max_joint_acceleration_rad_s2: Of every joint.
        allow_faster_than_default: Whether the six limits above may exceed their defaults.
        joint_margin_rad: Margin kept before each joint position limit.
        max_jump_m, max_jump_rad: A chunk whose first pose due is further from the tool is refused.
        max_tracking_error_m, max_tracking_error_rad: A larger difference between commanded and
            measured pose is a fault.
        condition_slow, condition_stop: Condition numbers of the Jacobian at which motion towards a
            singularity starts to slow down and stops; motion away from it stays possible.
        twist_timeout_s: A twist older than this no longer moves the arm.
        chunk_timeout_s: A chunk whose observation is older than this is refused; the last pose of a
            chunk is held for this long.
        camera_timeout_s: An image older than this stops the policy.
        max_contact_force_n: A stronger measured force on the tool while a policy moves the arm is a
            fault.
    """

    workspace_min_m: Annotated[Vector3, Between(-3.0, 3.0)]
    workspace_max_m: Annotated[Vector3, Between(-3.0, 3.0)]
    max_linear_speed_m_s: Annotated[float, Between(0.001, 1.0)] = 0.25
    max_angular_speed_rad_s: Annotated[float, Between(0.01, 2.5)] = 0.6
    max_linear_acceleration_m_s2: Annotated[float, Between(0.05, 3.0)] = 1.0
    max_angular_acceleration_rad_s2: Annotated[float, Between(0.1, 8.0)] = 2.5
    max_joint_speed_rad_s: Annotated[float, Between(0.01, 2.0)] = 1.0
    max_joint_acceleration_rad_s2: Annotated[float, Between(0.5, 13.9)] = 8.0
    allow_faster_than_default: bool = False
    joint_margin_rad: Annotated[float, Between(0.0, 0.5)] = 0.1
    max_jump_m: Annotated[float, Between(0.001, 0.15)] = 0.05
    max_jump_rad: Annotated[float, Between(0.01, 1.0)] = 0.3
    max_tracking_error_m: Annotated[float, Between(0.005, 0.15)] = 0.05
    max_tracking_error_rad: Annotated[float, Between(0.02, 1.0)] = 0.3
    condition_slow: Annotated[float, Between(2.0, 1000.0)] = 25.0
    condition_stop: Annotated[float, Between(3.0, 2000.0)] = 60.0
    twist_timeout_s: Annotated[float, Between(0.02, 0.5)] = 0.1
    chunk_timeout_s: Annotated[float, Between(0.05, 2.0)] = 0.5
    camera_timeout_s: Annotated[float, Between(0.05, 5.0)] = 0.25
    max_contact_force_n: Annotated[float, Between(5.0, 500.0)] = 100.0

    def contradictions(self) -> Iterator[str]:
        """Yield what these numbers may not be together."""
        low, high = self.workspace_min_m, self.workspace_max_m
        if any(lo >= hi for lo, hi in zip(low, high)):
            yield (
                f"workspace_min_m is not below workspace_max_m: {list(low)}, {list(high)}; expected"
                " each number to be lower"
            )
        if self.condition_slow >= self.condition_stop:
            yield (
                f"condition_slow is {self.condition_slow:g}; expected less than condition_stop,"
                f" {self.condition_stop:g}"
            )
        if self.allow_faster_than_default:
            return
        for limit in fields(self):
            value = getattr(self, limit.name)
            if limit.name in FASTEST and value > limit.default:
                yield (
                    f"{limit.name} is {value:g}; expected {limit.default:g} at most, or"
                    " allow_faster_than_default: true beside it once your risk assessment covers"
                    " that speed (doc/safety.md)"
                )


FASTEST = frozenset(f.name for f in fields(LimitsConfig) if "_speed_" in f.name) | frozenset(
    f.name for f in fields(LimitsConfig) if "_acceleration_" in f.name
)
"""Limits that may exceed their defaults only with `allow_faster_than_default`."""


@dataclass(frozen=True)
class ServoConfig:
    """The servo loop.

    Attributes:
        rate_hz: Ticks per second.
        blend_s: Duration of the blend from the current motion to a new chunk.
        priority: SCHED_FIFO priority; 0 for none.
        require_realtime: Refuse to start without that priority, instead of warning.
        cpu: Core to pin the loop to; -1 leaves it to the scheduler. In the simulated cell of an
            FR3 on two or three cores, -1 shares the last one with the emulated controller.
        heartbeat_timeout_s: Silence of the control node after which the servo stops the arm.
    """

    rate_hz: Annotated[float, Between(100.0, 1000.0)] = 500.0
    blend_s: Annotated[float, Between(0.01, 1.0)] = 0.15
    priority: Annotated[int, Between(0, 95)] = 40
    require_realtime: bool = False
    cpu: Annotated[int, Between(-1, 1023)] = -1
    heartbeat_timeout_s: Annotated[float, Between(0.05, 1.0)] = 0.2


@dataclass(frozen=True)
class TeleopConfig:
    """The operator's pointer, and how its deflections become a twist.

    Attributes:
        device: `pointer`, or `demonstrator` for the simulated operator.
        pointer: The device, and what its buttons do.
        rate_hz: Reading and publishing rate.
        linear_speed_m_s, angular_speed_rad_s: Speed at full deflection; `limits` apply as well.
        dead_zone: Deflections below this fraction count as zero.
        exponent: Response curve: 1 is linear; above 1 gives finer control near the centre.
        frame: Frame whose axes the deflections move along and turn about: `base`, or `tool`, as
            seen from a camera on the wrist.
        axis_scale: Share of the speed for each of x, y, z, roll, pitch and yaw: negative reverses
            an axis, for a pointer in another orientation, and 0 locks it.
        watch_during_policy: Stop a policy when no operator could take over, because the pointer is
            unplugged or its node silent. False lets it move anyway.
    """

    device: Literal["pointer", "demonstrator"] = "pointer"
    pointer: PointerConfig = field(default_factory=SpaceMouseConfig)
    rate_hz: Annotated[float, Between(20.0, 250.0)] = 100.0
    linear_speed_m_s: Annotated[float, Between(0.001, 1.0)] = 0.25
    angular_speed_rad_s: Annotated[float, Between(0.01, 2.5)] = 0.6
    dead_zone: Annotated[float, Between(0.0, 0.9)] = 0.1
    exponent: Annotated[float, Between(0.5, 4.0)] = 1.5
    frame: Literal["base", "tool"] = "base"
    axis_scale: Annotated[SixNumbers, Between(-1.0, 1.0)] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    watch_during_policy: bool = True


@dataclass(frozen=True)
class LatencyConfig:
    """How late arm and gripper follow their commands; `carp calibrate latency` measures both.

    A plan's steps are commands, as they were recorded in demonstrations, and the demonstrated
    motion followed them by the latency of the rig then. So what is compensated is the difference
    between this rig's latency and that one's.

    Attributes:
        action_s: From a joint target to the arm being there. A result in `calibration/` replaces
            it.
        gripper_s: The same of the gripper.
        demonstrated_action_s, demonstrated_gripper_s: The latency that a plan's commands allow for:
            that of the rig on which they were demonstrated, and 0 for plans of poses to be reached
            instead of commanded. None: this rig's, so that nothing is compensated.
    """

    action_s: Annotated[float, Between(-0.02, 0.3)] = 0.0
    gripper_s: Annotated[float, Between(-0.02, 1.0)] = 0.0
    demonstrated_action_s: Annotated[float, Between(-0.02, 0.3)] | None = None
    demonstrated_gripper_s: Annotated[float, Between(-0.02, 1.0)] | None = None

    @property
    def lead(self) -> Lead:
        """How much earlier than planned commands are sent."""
        return Lead(
            _difference_ns(self.action_s, self.demonstrated_action_s),
            _difference_ns(self.gripper_s, self.demonstrated_gripper_s),
        )


@dataclass(frozen=True)
class CalibrationConfig:
    """Which results in `calibration/<rig>/` the rig runs on; doc/calibrate.md.

    Attributes:
        max_age_days: Older ones are refused.
        required: Names of files, without .yaml, without which the rig does not start.
        max_tool_change_m: Furthest that a measured tool may be from `tool.position_m`: another
            tool is hardly a calibration.
    """

    max_age_days: Annotated[int, Between(1, 3650)] = 180
    required: Annotated[tuple[Name, ...], Sized(0, 64)] = ()
    max_tool_change_m: Annotated[float, Between(0.0, 0.2)] = 0.03


@dataclass(frozen=True)
class CellConfig:
    """The simulated cell.

    Attributes:
        task: `cup` or `bowl`.
        level: Randomisation: `none`, `normal` or `hard`.
        seed: Seed of the first episode.
        fault_port: TCP port on the arm's host for fault injection in tests.
    """

    task: TaskName = "cup"
    level: LevelName = "normal"
    seed: Seed = 0
    fault_port: Annotated[int, Between(1024, 65535)] = 30999


def _difference_ns(here_s: float, demonstrated_s: float | None) -> int:
    return 0 if demonstrated_s is None else round((here_s - demonstrated_s) * 1e9)
