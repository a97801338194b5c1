"""The rig: everything that one workstation's numbers decide, read once from `config/<rig>.yaml`.

Each section of the file becomes one frozen dataclass below; a missing key takes the default here,
an unknown key or a value of the wrong kind is a `ValueError` that names file, key and remedy. This
is the only road by which a number of the file reaches a loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from carp_ros.plain_yaml import load_mapping
from carp_ros.robots import ROBOTS, Robot
from carp_ros.strict import read_strictly

Vector3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class ArmConfig:
    """How to reach the arm and how it follows joint targets (specs: UR servoJ).

    Attributes:
        driver: `ur` (ur-rtde).
        host: Address of the controller.
        gain: servoJ proportional gain, 100 to 2000; higher follows stiffer.
        lookahead_s: servoJ smoothing, 0.03 to 0.2; the arm lags by about this much.
        watchdog_hz: The robot stops its program when commands come slower than this.
        state_timeout_s: Robot state older than this stops the arm and latches a fault.
    """

    driver: str = "ur"
    host: str = "127.0.0.2"
    gain: float = 2000.0
    lookahead_s: float = 0.03
    watchdog_hz: float = 20.0
    state_timeout_s: float = 0.1


@dataclass(frozen=True)
class GripperConfig:
    """How to reach the gripper. `speed`, `force`: 0 to 1 of the device's range."""

    driver: str = "robotiq"
    host: str = "127.0.0.2"
    port: int = 63352
    speed: float = 1.0
    force: float = 0.2


@dataclass(frozen=True)
class ToolConfig:
    """`flange_from_tcp`: where the tool centre point sits on the flange, in [m] and xyzw."""

    position_m: Vector3 = (0.0, 0.0, 0.1558)
    quaternion: Quaternion = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class LimitsConfig:
    """Software limits (not safety-rated); what they do is in doc/safety.md.

    Attributes:
        workspace_min_m, workspace_max_m: The box, in the base frame, that the TCP stays inside.
        max_linear_speed_m_s, max_angular_speed_rad_s: Of the TCP.
        max_linear_acceleration_m_s2, max_angular_acceleration_rad_s2: Of the TCP.
        max_joint_speed_rad_s: Of every joint, and never above half of the robot's own limit.
        max_joint_acceleration_rad_s2: Of every joint.
        joint_margin_rad: Kept free before each joint position limit.
        max_jump_m, max_jump_rad: A new chunk's first due pose farther off than this is refused.
        max_tracking_error_m, max_tracking_error_rad: Commanded against measured; beyond: fault.
        condition_slow, condition_stop: Jacobian condition number where slowing begins and ends in
            a stop; motion away from the singularity stays possible.
        twist_timeout_s: A twist older than this no longer moves the arm.
        chunk_timeout_s: A chunk whose observation is older than this is refused, and one whose
            last step is past by this much ends in hold.
        camera_timeout_s: An image older than this stops the policy.
    """

    workspace_min_m: Vector3
    workspace_max_m: Vector3
    max_linear_speed_m_s: float = 0.25
    max_angular_speed_rad_s: float = 0.6
    max_linear_acceleration_m_s2: float = 1.0
    max_angular_acceleration_rad_s2: float = 2.5
    max_joint_speed_rad_s: float = 1.0
    max_joint_acceleration_rad_s2: float = 8.0
    joint_margin_rad: float = 0.1
    max_jump_m: float = 0.05
    max_jump_rad: float = 0.3
    max_tracking_error_m: float = 0.05
    max_tracking_error_rad: float = 0.3
    condition_slow: float = 25.0
    condition_stop: float = 60.0
    twist_timeout_s: float = 0.1
    chunk_timeout_s: float = 0.5
    camera_timeout_s: float = 0.25


@dataclass(frozen=True)
class ServoConfig:
    """The servo loop.

    Attributes:
        rate_hz: Ticks per second.
        blend_s: How long a new chunk is faded in over the old one.
        priority: SCHED_FIFO priority; 0 asks for none.
        require_realtime: Refuse to start without that priority instead of warning.
        cpu: Core to pin the loop to; -1 leaves it to the scheduler.
        heartbeat_timeout_s: Silence of the control node after which the servo stops the arm.
    """

    rate_hz: float = 500.0
    blend_s: float = 0.15
    priority: int = 40
    require_realtime: bool = False
    cpu: int = -1
    heartbeat_timeout_s: float = 0.2


@dataclass(frozen=True)
class TeleopConfig:
    """The SpaceMouse and how its deflections become a twist.

    Attributes:
        device: `spacemouse`, or `demonstrator` for the simulated operator.
        rate_hz: Reading and publishing rate.
        linear_speed_m_s, angular_speed_rad_s: At full deflection.
        dead_zone: Deflections below this fraction count as zero.
        exponent: 1 is linear; above 1 is finer near the middle.
        deadman_button, gripper_button: Index of the button held to move, and of the one that
            toggles the gripper.
        signs: Direction of each of the six axes, 1 or -1, for a mouse that lies turned.
        report_timeout_s: Deflections older than this count as zero.
    """

    device: str = "spacemouse"
    rate_hz: float = 100.0
    linear_speed_m_s: float = 0.25
    angular_speed_rad_s: float = 0.6
    dead_zone: float = 0.1
    exponent: float = 1.5
    deadman_button: int = 0
    gripper_button: int = 1
    signs: tuple[float, float, float, float, float, float] = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    report_timeout_s: float = 0.2


@dataclass(frozen=True)
class CameraConfig:
    """One camera: `driver` (`cell`), image size in [px], rate in [Hz]."""

    driver: str = "cell"
    width_px: int = 320
    height_px: int = 240
    rate_hz: float = 30.0


@dataclass(frozen=True)
class CellConfig:
    """The simulated cell.

    Attributes:
        task: `cup` or `bowl`.
        level: Randomisation: `none`, `normal` or `hard`.
        seed: Of the first episode.
        fault_port: TCP port on the arm's host that takes fault injections, for tests.
    """

    task: str = "cup"
    level: str = "normal"
    seed: int = 0
    fault_port: int = 30999


@dataclass(frozen=True)
class Rig:
    """One workstation. `name` is the file's stem; `cell` is None where the hardware is real."""

    name: str
    robot: Robot
    home_joints_rad: tuple[float, ...]
    arm: ArmConfig
    gripper: GripperConfig
    tool: ToolConfig
    limits: LimitsConfig
    servo: ServoConfig
    teleop: TeleopConfig
    cameras: dict[str, CameraConfig]
    cell: CellConfig | None = field(default=None)


def load_rig(path: Path) -> Rig:
    """Return the rig that a YAML file describes.

    Args:
        path: `config/<rig>.yaml`.

    Raises:
        ValueError: If the file is missing or not YAML, or a key is unknown, missing or of the
            wrong kind.
    """
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise ValueError(f"no rig file {path}; rigs in {path.parent}: {', '.join(known) or 'none'}")
    content = load_mapping(path)
    rig = read_strictly(Rig, {**content, "name": path.stem}, str(path), {Robot: ROBOTS})
    joints = len(rig.robot.joint_names)
    if len(rig.home_joints_rad) != joints:
        raise ValueError(
            f"{path}: home_joints_rad has {len(rig.home_joints_rad)} numbers; {rig.robot.name} has"
            f" {joints} joints"
        )
    if any(lo >= hi for lo, hi in zip(rig.limits.workspace_min_m, rig.limits.workspace_max_m)):
        raise ValueError(f"{path}: limits.workspace_min_m is not below limits.workspace_max_m")
    return rig
