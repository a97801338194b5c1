"""Reads the messages of another program's bag with a `TopicMap`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from carp_ros.chain import tcp_pose
from carp_ros.errors import EpisodeError, MessageError
from carp_ros.geometry import compose
from carp_ros.recording.mcap_scan import Message
from carp_ros.recording.message_reader import (
    Reading,
    SameSize,
    require_closure,
    require_command,
    require_joints,
    require_pose,
)
from carp_ros.recording.messages import (
    FLAG,
    IMAGE,
    JOINTS,
    JPEG,
    NUMBER,
    POSE,
    decode,
    image_of,
    joints_of,
    pose_of,
    stamp_ns,
)
from carp_ros.recording.topic_map import (
    GripperJoint,
    GripperNumber,
    Measured,
    PoseFromJoints,
    PoseTopic,
    TopicMap,
)
from carp_ros.refusal import in_words
from carp_ros.types import Array, Pose

SMALL_NUMBER = "std_msgs/msg/Float32"
TRANSFORM = "geometry_msgs/msg/TransformStamped"
BARE_POSE = "geometry_msgs/msg/Pose"

IMAGES = (IMAGE, JPEG)
POSES = (POSE, TRANSFORM, BARE_POSE)
NUMBERS = (NUMBER, SMALL_NUMBER, FLAG)
_WITHOUT_HEADER = (BARE_POSE, *NUMBERS)
_FARTHEST_NS = 60_000_000_000

_Extract = Callable[[Any], Any]
"""Maps a decoded message to a value; None if the message concerns other joints."""


class MappedReader:
    """Reads one bag.

    Args:
        topic_map: The meaning of its topics.
        types: The topics' types, by name.

    Raises:
        EpisodeError: If a topic is missing, or its type does not fit the stream.
    """

    def __init__(self, topic_map: TopicMap, types: Mapping[str, str]) -> None:
        self._map = topic_map
        self._types = types
        self._extracts: dict[str, list[tuple[str, _Extract]]] = {}
        self._held: dict[str, float] = {}
        self._measured: float | None = None
        for camera, topic in topic_map.cameras.items():
            take = _image_of(types.get(topic, ""), SameSize())
            self._add(f"cameras: {camera}", topic, IMAGES, f"/{camera}/image_raw", take)
        names = topic_map.joint_states.names or topic_map.robot.joint_names
        topic = topic_map.joint_states.topic
        self._add("joint_states", topic, (JOINTS,), "/joint_states", _joints_named(names))
        for key in ("tool_pose", "target_pose"):
            self._add_pose(key, getattr(topic_map, key))
        for key in ("gripper_state", "gripper_command"):
            self._add_gripper(key, getattr(topic_map, key))

    def stamped(self, message: Message) -> Message | None:
        """Return a message with its header's stamp in place of its time of receipt.

        Messages without a header, or with a stamp of zero, keep their time of receipt. None if the
        map does not name the topic.

        Raises:
            MessageError: If the header was stamped by another clock.
        """
        topic, received_ns, cdr = message
        if topic not in self._extracts:
            return None
        kind = self._types[topic]
        if self._map.stamps == "received" or kind in _WITHOUT_HEADER:
            return message
        header_ns = stamp_ns(kind, cdr)
        if not header_ns:
            return message
        if abs(header_ns - received_ns) > _FARTHEST_NS:
            raise MessageError(
                f"{topic}: a header's stamp lies {(header_ns - received_ns) * 1e-9:+.0f} s from its"
                f" arrival; expected at most {_FARTHEST_NS * 1e-9:.0f} s: if its clock was"
                " not set, write `stamps: received` into the map"
            )
        return topic, header_ns, cdr

    def named(self, stream: str) -> str:
        """Return a stream's name in the bag and in the map."""
        return next(
            (
                f"{topic} (the map's {stream.strip('/').split('/')[0]})"
                for topic, extracts in self._extracts.items()
                if any(stream == name for name, _ in extracts)
            ),
            stream,  # derived from another stream
        )

    def __contains__(self, topic: str) -> bool:
        """Return whether the map names a topic."""
        return topic in self._extracts

    def readings(self, topic: str, stamp_ns: int, cdr: bytes) -> Iterable[Reading]:
        """Return a message's readings; empty if it concerns other joints than the map's.

        Raises:
            MessageError: If the message is invalid for its topic.
        """
        try:
            msg = decode(self._types[topic], cdr)
            return list(self._read(topic, stamp_ns, msg))
        except MessageError:
            raise
        except Exception as error:  # raised by a library because of this message
            raise MessageError(in_words(error)) from error

    def _read(self, topic: str, at_ns: int, msg: Any) -> Iterator[Reading]:
        for stream, extract in self._extracts[topic]:
            value = extract(msg)
            if value is None:
                continue
            if stream in self._held:
                self._held[stream] = value
                continue
            yield from self._with_followers(stream, at_ns, value)

    def _with_followers(self, stream: str, at_ns: int, value: Any) -> Iterator[Reading]:
        """Yield a value, and those of streams derived from it."""
        yield stream, at_ns, value
        if stream == "/tool_pose" and isinstance(self._map.target_pose, Measured):
            yield "/target_pose", at_ns - _after_ns(self._map.target_pose), value
        if stream == "/gripper_state":
            self._measured = _within(value)
            if isinstance(self._map.gripper_command, Measured):
                after_ns = _after_ns(self._map.gripper_command)
                yield "/gripper_command", at_ns - after_ns, self._measured
        if stream == "/joint_states":  # frequent and always recorded: held values follow its rate
            for held, number in self._held.items():
                if np.isnan(number) and held == "/gripper_command":
                    number = np.nan if self._measured is None else self._measured
                if not np.isnan(number):
                    yield from self._with_followers(held, at_ns, number)

    def _add_pose(self, key: str, part: PoseTopic | PoseFromJoints | Measured) -> None:
        if isinstance(part, PoseTopic):
            frame = part.frame or self._map.robot.base_frame
            self._add(key, part.topic, POSES, f"/{key}", _pose_of(self._types, part, frame))
        elif isinstance(part, PoseFromJoints):
            joint_states = self._map.joint_states
            names = part.names or joint_states.names or self._map.robot.joint_names
            joints_named, tool = _joints_named(names), part.tool.pose

            def pose(msg: Any) -> Pose | None:
                joints = joints_named(msg)
                return None if joints is None else tcp_pose(self._map.robot, tool, joints.tolist())

            self._add(key, part.topic or joint_states.topic, (JOINTS,), f"/{key}", pose)

    def _add_gripper(self, key: str, part: GripperJoint | GripperNumber | Measured) -> None:
        if isinstance(part, Measured):
            return
        scale = _closure_between(part.open, part.closed, key == "gripper_command")
        if isinstance(part, GripperNumber):
            self._add(key, part.topic, NUMBERS, f"/{key}", lambda msg: scale(float(msg.data)))
            if part.hold:
                self._held[f"/{key}"] = np.nan
            return
        finger = _joints_named((part.joint,))

        def closure(msg: Any) -> float | None:
            position = finger(msg)
            return None if position is None else scale(float(position[0]))

        self._add(key, part.topic or self._map.joint_states.topic, (JOINTS,), f"/{key}", closure)

    def _add(
        self, key: str, topic: str, kinds: tuple[str, ...], stream: str, extract: _Extract
    ) -> None:
        kind = self._types.get(topic)
        if kind is None:
            raise EpisodeError(
                f"has no topic {topic}, which the map names at {key}; expected one of the bag's:"
                f" {', '.join(sorted(self._types)) or 'none'}"
            )
        if kind not in kinds:
            raise EpisodeError(
                f"topic {topic} is of type {kind}; expected {' or '.join(kinds)}: name another one"
                f" in the map at {key}"
            )
        self._extracts.setdefault(topic, []).append((stream, extract))


def _image_of(kind: str, one_size: SameSize) -> _Extract:
    return lambda msg: one_size.require(image_of(kind, msg))


def _joints_named(names: tuple[str, ...]) -> Callable[[Any], Array | None]:
    """Return a function that extracts joints by name.

    It returns None for a message with none of them: a gripper's driver may publish its own joints
    on the arm's topic.
    """

    def joints(msg: Any) -> Array | None:
        if not set(names) & set(msg.name):
            return None
        return require_joints(joints_of(msg, names))

    return joints


def _pose_of(types: Mapping[str, str], part: PoseTopic, frame: str) -> Callable[[Any], Pose]:
    kind = types.get(part.topic)
    base_from_frame = part.base_from_frame.pose if part.base_from_frame else None
    tool = part.tool.pose if part.tool != type(part.tool)() else None

    def pose(msg: Any) -> Pose:
        if kind != BARE_POSE and msg.header.frame_id != frame:
            raise MessageError(
                f"pose is in frame {msg.header.frame_id!r}; expected {frame!r}: say so in the map,"
                " by frame and base_from_frame"
            )
        if kind == TRANSFORM:
            found = pose_of(msg.transform.translation, msg.transform.rotation)
        else:
            inner = msg if kind == BARE_POSE else msg.pose
            found = pose_of(inner.position, inner.orientation)
        found = require_pose(found)
        found = compose(base_from_frame, found) if base_from_frame else found
        return require_pose(compose(found, tool) if tool else found)

    return pose


def _closure_between(
    open_at: float, closed_at: float, is_command: bool
) -> Callable[[float], float]:
    """Return a function that scales a gripper's number to 0 (open) to 1 (closed)."""

    def closure(number: float) -> float:
        scaled = (number - open_at) / (closed_at - open_at)
        try:
            closure = require_closure(scaled)
            return require_command(_within(closure)) if is_command else closure
        except MessageError as error:
            raise MessageError(
                f"gripper is at {number:g}; expected about {open_at:g} (open) to {closed_at:g}"
                " (closed), as the map says: put the right numbers there"
            ) from error

    return closure


def _within(closure: float) -> float:
    return min(max(closure, 0.0), 1.0)


def _after_ns(part: Measured) -> int:
    return round(part.after_s * 1e9)
