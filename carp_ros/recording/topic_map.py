"""The topic map: which topics of another program's bags hold a demonstration's streams.

A small YAML file, written once for a lab's recordings; doc/dataset.md has an example.
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
_Seconds = Annotated[float, Between(0.0, 0.4)]  # conversion waits 0.5 s for late messages
_Position = Annotated[float, Between(-1e6, 1e6)]


@dataclass(frozen=True)
class Placement:
    """The pose of one frame in another: position in [m], quaternion xyzw."""

    position_m: Annotated[Vector3, Between(-10.0, 10.0)] = (0.0, 0.0, 0.0)
    quaternion: Annotated[Quaternion, Unit()] = (0.0, 0.0, 0.0, 1.0)

    @property
    def pose(self) -> Pose:
        """The placement as a pose with an exactly normalised quaternion."""
        quaternion = np.array(self.quaternion)
        return Pose(np.array(self.position_m), quaternion / np.linalg.norm(quaternion))


@dataclass(frozen=True)
class Joints:
    """Measured joints: `sensor_msgs/JointState`, in any order, with other joints among them.

    Attributes:
        topic: The topic's name.
        names: The arm's joints as named in the bag, from the base; None: the robot's own names.
    """

    topic: TopicName = "/joint_states"
    names: _JointNames | None = None


@dataclass(frozen=True)
class PoseTopic:
    """Poses from a topic: `PoseStamped`, `TransformStamped` or `Pose` of `geometry_msgs`.

    Attributes:
        source: `topic`.
        topic: The topic's name.
        frame: The frame_id of its messages; empty: the robot's base frame.
        base_from_frame: That frame's pose in the robot's base frame, if it is another frame.
        tool: The tool centre point's pose in the frame that the topic reports, if it is another.
    """

    source: Literal["topic"]
    topic: TopicName
    frame: str = ""
    base_from_frame: Placement | None = None
    tool: Placement = Placement()


@dataclass(frozen=True)
class PoseFromJoints:
    """Poses computed from joints by the robot's forward kinematics.

    Attributes:
        source: `joints`.
        tool: The tool centre point's pose in the robot's flange frame.
        topic: A `JointState` topic; None: the one of `joint_states`.
        names: The arm's joints as named there; None: as in `joint_states`.
    """

    source: Literal["joints"]
    tool: Placement
    topic: TopicName | None = None
    names: _JointNames | None = None


@dataclass(frozen=True)
class Measured:
    """Substitutes commands that were not recorded with values measured slightly later.

    Attributes:
        source: `measured`.
        after_s: How much later: about the arm's lag behind its commands.
    """

    source: Literal["measured"]
    after_s: _Seconds


@dataclass(frozen=True)
class GripperJoint:
    """A gripper reported as a joint of a `JointState`.

    Attributes:
        source: `joint`.
        joint: The joint's name.
        open, closed: Its positions when open and when closed.
        topic: The messages' topic; None: the one of `joint_states`.
    """

    source: Literal["joint"]
    joint: Words
    open: _Position
    closed: _Position
    topic: TopicName | None = None


@dataclass(frozen=True)
class GripperNumber:
    """A gripper reported as a number: `Float64`, `Float32` or `Bool` of `std_msgs`.

    Attributes:
        source: `number`.
        topic: The topic's name.
        open, closed: The numbers when open and when closed.
        hold: Whether a number stays valid until the next one, for topics that only publish
            changes. Otherwise, 0.2 s without a message is a gap. Before the first message, the
            measured closure stands in for a command.
    """

    source: Literal["number"]
    topic: TopicName
    open: _Position = 0.0
    closed: _Position = 1.0
    hold: bool = False


@dataclass(frozen=True)
class Labels:
    """Labels of one bag; None takes the map's value for all bags.

    Attributes:
        task: Short name, such as cup.
        instruction: The task in words, for language-conditioned policies.
        operator: Who demonstrated.
        success: Whether the task succeeded.
    """

    task: Words | None = None
    instruction: Words | None = None
    operator: Words | None = None
    success: bool | None = None


@dataclass(frozen=True)
class TopicMap:
    """Maps the topics of a lab's bags to the streams of a demonstration.

    Attributes:
        rig: Name of the rig in the dataset; the same for all its episodes.
        robot: The arm.
        instruction, task, operator, success: Labels of every bag that has none of its own, in
            `bags` or in its metadata (`ros2 bag record --custom-data success=true`).
        cameras: Image topics by the camera's name in the dataset, `Image` or `CompressedImage` of
            `sensor_msgs`. The first is the reference camera by default.
        joint_states: Measured joints.
        tool_pose: Measured poses of the tool centre point.
        target_pose: Commanded poses of the tool centre point: the dataset's actions.
        gripper_state, gripper_command: The gripper's measured and commanded closure.
        stamps: Whether a message's time is its header's stamp or its time of receipt; use the
            latter if the headers were stamped by a clock that was never set.
        bags: Labels of single bags, by folder name.
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
        """A hash of the map's contents."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]

    def contradictions(self) -> Iterator[str]:
        """Yield contradictions between the map's values."""
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
    """Read a topic map.

    Raises:
        ValueError: If the file can't be read, or a key or value is wrong; names file and key.
    """
    return read_strictly(TopicMap, load_mapping(path), str(path), {Robot: ROBOTS})
