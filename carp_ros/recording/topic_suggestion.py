"""Suggests a topic map, guessed from a bag's topics, their types and their first messages.

Guesses that a person must verify are marked as such.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from carp_ros.errors import MessageError
from carp_ros.recording.bag_metadata import BagMetadata, read_metadata
from carp_ros.recording.mapped_reader import BARE_POSE, IMAGES, NUMBERS, POSES
from carp_ros.recording.messages import JOINTS, decode
from carp_ros.recording.recorded_episode import stored_messages, topic_types
from carp_ros.recording.topic_map import TopicName
from carp_ros.refusal import printable
from carp_ros.robots import ROBOTS, UR5E, Robot
from carp_ros.strict import broken_rule

_CHECK = "# check"
_COMMAND = re.compile("target|command|cmd|goal|desired|reference|leader")
_GRIPPER = re.compile("grip|finger|hand|robotiq")
_NO_PHOTO = re.compile("depth|infra|disparity|confidence|mask")
_NO_NAME = ("image", "raw", "color", "colour", "rgb", "rect", "compressed", "camera")
_MOST_MESSAGES = 3000  # to inspect


@dataclass
class _Bag:
    """What was learnt about a bag's topics.

    Attributes:
        types: The topics' types, by name.
        joints: The joint names in each joint-state topic.
        frames: The frame_id of each pose topic.
    """

    types: dict[str, str]
    joints: dict[str, tuple[str, ...]] = field(default_factory=dict)
    frames: dict[str, str] = field(default_factory=dict)

    def of(self, kinds: Sequence[str]) -> list[str]:
        """Return the topics of some types."""
        return sorted(topic for topic, kind in self.types.items() if kind in kinds)


def suggest_topics(folder: Path) -> str:
    """Return the YAML text of a suggested topic map for a bag.

    Raises:
        ValueError: If the folder is no bag, or a file is missing.
        MessageError: If a file is too damaged to be read.
    """
    metadata = read_metadata(folder)
    bag = _looked_at(folder, metadata)
    robot, joints_topic, names = _arm(bag)
    lines = [
        f"# Topics of {printable(str(folder))}:",
        *(f"#   {printable(t.name)}  {printable(t.type)}" for t in metadata.topics),
        f"# A guess of their meaning. Verify lines marked `{_CHECK[2:]}`; doc/dataset.md explains"
        " the keys.",
        f"rig: {robot.name}_lab",
        f"robot: {robot.name}",
        f"instruction: Say the task in words.  {_CHECK}",
        "task: unknown",
        "operator: unknown",
        "success: true  # for all these bags; for single ones, use `bags`",
        "cameras:",
        *_camera_lines(bag),
        "joint_states:",
        f"  topic: {joints_topic}",
        f"  names: [{', '.join(names)}]",
        *_pose_lines(bag, robot),
        *_gripper_lines(bag, joints_topic, names),
    ]
    return "\n".join(lines) + "\n"


def _looked_at(folder: Path, metadata: BagMetadata) -> _Bag:
    known = topic_types(metadata).items()
    bag = _Bag({topic: kind for topic, kind in known if not broken_rule(TopicName, topic)})
    messages = itertools.chain.from_iterable(stored_messages(folder, metadata))
    for topic, _, cdr in itertools.islice(messages, _MOST_MESSAGES):
        kind = bag.types.get(topic, "")
        try:
            if kind == JOINTS:
                known_names = bag.joints.get(topic, ())
                said = [name for name in decode(kind, cdr).name if _plain(name)]
                bag.joints[topic] = tuple(dict.fromkeys((*known_names, *said)))
            elif kind in POSES and kind != BARE_POSE and topic not in bag.frames:
                bag.frames[topic] = decode(kind, cdr).header.frame_id
        except MessageError:  # the conversion will report it
            continue
    return bag


def _plain(text: str) -> bool:
    """Return whether a text can be written to YAML unquoted and is read back as text."""
    if not re.fullmatch(r"[A-Za-z_][\w./-]{0,99}", text, re.ASCII):
        return False
    return yaml.safe_load(text) == text


def _arm(bag: _Bag) -> tuple[Robot, str, tuple[str, ...]]:
    """Return the robot whose joints a topic has, the topic, and the joints' names there."""
    for topic, known in bag.joints.items():
        for robot in ROBOTS.values():
            found = [_ending_with(name, known) for name in robot.joint_names]
            if all(found):
                return robot, topic, tuple(filter(None, found))
    topics = [*bag.joints, *bag.of((JOINTS,)), "/joint_states"]
    return UR5E, f"{topics[0]}  {_CHECK}: no known robot's joints", UR5E.joint_names


def _ending_with(name: str, known: Sequence[str]) -> str | None:
    """Return the joint with that name, or else one whose name ends with it."""
    exact = [other for other in known if other == name]
    return next(iter(exact or [other for other in known if other.endswith(name)]), None)


def _camera_lines(bag: _Bag) -> Iterator[str]:
    names: dict[str, str] = {}
    for topic in bag.of(IMAGES):
        base = topic.removesuffix("/compressed")
        if _NO_PHOTO.search(topic) or base in names.values():
            continue
        words = [word for word in re.split("[/_]", base.lower()) if word not in ("", *_NO_NAME)]
        name = re.sub("^[^a-z]+", "", "_".join(words))[:50] or "camera"
        if not _plain(name):  # YAML reads `on` as a Boolean
            name += "_camera"
        while name in names:
            name += "_2"
        names[name] = topic
    for name, topic in names.items():
        yield f"  {name}: {topic}"
    if not names:
        yield f"  camera: /camera/image_raw  {_CHECK}: no topic has images"


def _pose_lines(bag: _Bag, robot: Robot) -> Iterator[str]:
    topics = bag.of(POSES)
    commands = [topic for topic in topics if _COMMAND.search(topic)]
    measured = [topic for topic in topics if topic not in commands]
    yield "tool_pose:"
    if measured:
        yield from _pose_topic_lines(bag, measured[0], robot)
    else:
        yield "  source: joints"
        yield f"  tool: {{position_m: [0, 0, 0]}}  {_CHECK}: the TCP on the flange, in m"
    yield "target_pose:"
    if commands:
        yield from _pose_topic_lines(bag, commands[0], robot)
    else:
        yield from _measured_lines()


def _pose_topic_lines(bag: _Bag, topic: str, robot: Robot) -> Iterator[str]:
    yield "  source: topic"
    yield f"  topic: {topic}"
    frame = bag.frames.get(topic, robot.base_frame)
    if frame != robot.base_frame and _plain(frame):
        yield f"  frame: {frame}"
        yield (
            f"  base_from_frame: {{position_m: [0, 0, 0], quaternion: [0, 0, 0, 1]}}  {_CHECK}:"
            f" its pose in {robot.base_frame}"
        )


def _measured_lines() -> Iterator[str]:
    yield "  source: measured  # commands were not recorded"
    yield "  after_s: 0.1"


def _gripper_lines(bag: _Bag, joints_topic: str, arm: Sequence[str]) -> Iterator[str]:
    numbers = [topic for topic in bag.of(NUMBERS) if _GRIPPER.search(topic)]
    commands = [topic for topic in numbers if _COMMAND.search(topic)]
    measured = [topic for topic in numbers if topic not in commands]
    fingers = [
        (topic, name)
        for topic, names in bag.joints.items()
        for name in names
        if name not in arm and not _COMMAND.search(topic)
    ]
    fingers.sort(key=lambda finger: not _GRIPPER.search(finger[1]))
    yield "gripper_state:"
    if fingers:
        topic, name = fingers[0]
        yield "  source: joint"
        yield f"  joint: {name}"
        if topic != joints_topic:
            yield f"  topic: {topic}"
        yield from _range_lines(0.0, 0.8)
    else:
        yield from _number_lines(measured or commands)
    yield "gripper_command:"
    if commands:
        yield from _number_lines(commands)
    else:
        yield from _measured_lines()


def _number_lines(topics: Sequence[str]) -> Iterator[str]:
    yield "  source: number"
    if topics:
        yield f"  topic: {topics[0]}"
    else:
        yield f"  topic: /gripper/position  {_CHECK}: no topic looks like the gripper's"
    yield from _range_lines(0.0, 1.0)


def _range_lines(open_at: float, closed_at: float) -> Iterator[str]:
    yield f"  open: {open_at}  {_CHECK}: the number when the gripper is open"
    yield f"  closed: {closed_at}  {_CHECK}: and when it is closed"
