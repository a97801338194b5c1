"""What the streams of a demonstration are called in bags that another program recorded.

A small YAML file that a person writes once for a lab's recordings; doc/dataset.md has one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from carp_ros.files.plain_yaml import load_mapping
from carp_ros.rig_sections import Quaternion, RigName, Vector3
from carp_ros.robots import ROBOTS, Robot
from carp_ros.strict import Between, Matching, Name, Sized, Unit, read_strictly
from carp_ros.types import Pose

TopicName = Annotated[
    str,
    Matching(
        "(/[A-Za-z_][A-Za-z0-9_]*)+", "a topic's whole name, as `ros2 bag info` shows it: /joints"
    ),
]
Words = Annotated[
    str, Matching(r"[^\x00-\x1f\x7f]{1,300}", "one line of at most 300 characters, not empty")
]
_JointNames = Annotated[tuple[Words, ...], Sized(1, 64)]
_Seconds = Annotated[float, Between(0.0, 0.4)]  # conversion awaits late messages for 0.5 s
_Position = Annotated[float, Between(-1e6, 1e6)]


@dataclass(frozen=True)
class Placement:
    """Where one frame lies in another: in [m], and a quaternion xyzw."""

    position_m: Annotated[Vector3, Between(-10.0, 10.0)] = (0.0, 0.0, 0.0)
    quaternion: Annotated[Quaternion, Unit()] = (0.0, 0.0, 0.0, 1.0)

    @property
    def pose(self) -> Pose:
        """The same as a pose, its quaternion of length 1 to the last digit."""
        quaternion = np.array(self.quaternion)
        return Pose(np.array(self.position_m), quaternion / np.linalg.norm(quaternion))


@dataclass(frozen=True)
class Joints:
    """Measured joints: `sensor_msgs/JointState`, in any order and among others.

    Attributes:
        topic: Its name.
        names: What the bag calls the arm's joints, from the base; None: as the robot's are called.
    """

    topic: TopicName = "/joint_states"
    names: _JointNames | None = None


@dataclass(frozen=True)
class PoseTopic:
    """Poses from a topic: `PoseStamped`, `TransformStamped` or `Pose` of `geometry_msgs`.

    Attributes:
        source: `topic`.
        topic: Its name.
        frame: The frame_id of its messages; empty: the robot's base frame.
        base_from_frame: Where that frame lies in the robot's base frame, if it is another.
        tool: Where the tool centre point lies in the frame whose pose it is, if it is another.
    """

    source: Literal["topic"]
    topic: TopicName
    frame: str = ""
    base_from_frame: Placement | None = None
    tool: Placement = Placement()


@dataclass(frozen=True)
class PoseFromJoints:
    """Poses that follow from joints, by the robot's forward kinematics.

    Attributes:
        source: `joints`.
        tool: Where the tool centre point lies on the robot's flange.
        topic: A `JointState`; None: that of `joint_states`.
        names: As of `joint_states`; None: the same.
    """

    source: Literal["joints"]
    tool: Placement
    topic: TopicName | None = None
    names: _JointNames | None = None


@dataclass(frozen=True)
class Measured:
    """Commands that nobody recorded: what was measured a little later stands for them.

    Attributes:
        source: `measured`.
        after_s: How much later: about the time by which the arm lags behind its commands.
    """

    source: Literal["measured"]
    after_s: _Seconds


@dataclass(frozen=True)
class GripperJoint:
    """A gripper that is a joint of a `JointState`.

    Attributes:
        source: `joint`.
        joint: Its name.
        open, closed: Its positions when open and when closed.
        topic: Of the messages; None: that of `joint_states`.
    """

    source: Literal["joint"]
    joint: Words
    open: _Position
    closed: _Position
    topic: TopicName | None = None


@dataclass(frozen=True)
class GripperNumber:
    """A gripper that is a number: `Float64`, `Float32` or `Bool` of `std_msgs`.

    Attributes:
        source: `number`.
        topic: Its name.
        open, closed: The numbers when open and when closed.
        hold: Whether a number counts until the next one comes, as where only changes are sent.
            Without it, 0.2 s without one are a hole. Before the first, a command is what was
            measured.
    """

    source: Literal["number"]
    topic: TopicName
    open: _Position = 0.0
    closed: _Position = 1.0
    hold: bool = False


@dataclass(frozen=True)
class Labels:
    """What people know of an episode; None of one bag is what the map says of all.

    Attributes:
        task: Short name, such as cup.
        instruction: The task in words, for policies that read them.
        operator: Who demonstrated.
        success: Whether the task was done.
    """

    task: Words | None = None
    instruction: Words | None = None
    operator: Words | None = None
    success: bool | None = None


@dataclass(frozen=True)
class TopicMap:
    """What a lab's bags call what a demonstration is made of.

    Attributes:
        rig: Name of the rig in the dataset; episodes of one dataset have the same.
        robot: Which arm it is.
        instruction, task, operator, success: Of every bag that does not say otherwise, in `bags` or
            in its own metadata (`ros2 bag record --custom-data success=true`).
        cameras: By their names in the dataset, the topics of their images, `Image` or
            `CompressedImage` of `sensor_msgs`. The first is the reference camera, by default.
        joint_states: Measured joints.
        tool_pose: Measured poses of the tool centre point.
        target_pose: Commanded ones: a dataset's actions.
        gripper_state, gripper_command: The gripper, measured and commanded.
        stamps: Whether a message's time is that in its header, or when it was received: for
            recordings whose headers are of clocks that were never set.
        bags: What is known of single bags, by their folders' names.
    """

    rig: RigName
    robot: Robot
    instruction: Words
    cameras: Annotated[dict[Name, TopicName], Sized(1, 16)]
    tool_pose: PoseTopic | PoseFromJoints
    target_pose: PoseTopic | PoseFromJoints | Measured
    gripper_state: GripperJoint | GripperNumber
    gripper_command: GripperJoint | GripperNumber | Measured
    joint_states: Joints = Joints()
    task: Words = "unknown"
    operator: Words = "unknown"
    success: bool | None = None
    stamps: Literal["header", "received"] = "header"
    bags: dict[str, Labels] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The same for maps that say the same, and only for those."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]

    def contradictions(self) -> Iterator[str]:
        """Yield what does not fit."""
        count = len(self.robot.joint_names)
        for key in ("joint_states", "tool_pose", "target_pose"):
            part = getattr(self, key)
            names = getattr(part, "names", None)
            if names is not None and (len(names) != count or len(set(names)) != count):
                yield (
                    f"{key}: names are {', '.join(names)}; expected {count}, each once: those of"
                    f" {', '.join(self.robot.joint_names)}, in this order"
                )
            if isinstance(part, PoseTopic):
                yield from self._frame_contradictions(key, part)
        for key in ("gripper_state", "gripper_command"):
            part = getattr(self, key)
            if not isinstance(part, Measured) and part.open == part.closed:
                yield f"{key}: open and closed are both {part.open:g}; expected two numbers"
        topics = list(self.cameras.values())
        if len(set(topics)) != len(topics):
            yield f"cameras: topics are {', '.join(topics)}; expected each once"

    def _frame_contradictions(self, key: str, part: PoseTopic) -> Iterator[str]:
        base = self.robot.base_frame
        if part.frame not in ("", base) and part.base_from_frame is None:
            yield (
                f"{key}: frame is {part.frame!r}, not {base!r}; expected base_from_frame beside it:"
                f" where it lies in {base} (`ros2 run tf2_ros tf2_echo {base} {part.frame}`; UR's"
                " `base` is turned: {quaternion: [0, 0, 1, 0]})"
            )


def read_topic_map(path: Path) -> TopicMap:
    """Return what a file says.

    Raises:
        ValueError: If it can't be read, or a key or a value is wrong; file and key are named.
    """
    return read_strictly(TopicMap, load_mapping(path), str(path), {Robot: ROBOTS})
