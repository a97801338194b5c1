"""Bags as `ros2 bag record` leaves them: its storages and metadata, a lab's own topics."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import lz4.frame
import numpy as np
import yaml
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from carp_ros.recording import messages

STORE = get_typestore(Stores.ROS2_JAZZY)
FINGER = "robotiq_85_left_knuckle_joint"
CLOSED_RAD = 0.8
MS = 1_000_000

Stored = tuple[int, str, str, bytes]
"""When a message was received, topic, type, CDR."""

# The five storage variants that people use, and how our own writer is told of them.
VARIANTS: dict[str, tuple[StoragePlugin, CompressionMode]] = {
    "mcap": (StoragePlugin.MCAP, CompressionMode.NONE),
    "mcap, chunks in zstd": (StoragePlugin.MCAP, CompressionMode.STORAGE),
    "mcap, files in zstd": (StoragePlugin.MCAP, CompressionMode.FILE),
    "sqlite3": (StoragePlugin.SQLITE3, CompressionMode.NONE),
    "sqlite3, messages in zstd": (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    "mcap, messages in zstd": (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    "sqlite3, files in zstd": (StoragePlugin.SQLITE3, CompressionMode.FILE),
}

MAP = {
    "rig": "ur5e_test",
    "robot": "ur5e",
    "task": "cup",
    "instruction": "Put the cup on the right.",
    "operator": "demonstrator",
    "success": True,
    "cameras": {
        "wrist_cam": "/wrist/color/image_raw",
        "third_cam": "/overview/image_raw/compressed",
    },
    "joint_states": {"topic": "/lab/joint_states"},
    "tool_pose": {"source": "topic", "topic": "/tcp_pose_broadcaster/pose"},
    "target_pose": {"source": "topic", "topic": "/lab/target"},
    "gripper_state": {"source": "joint", "joint": FINGER, "open": 0.0, "closed": CLOSED_RAD},
    "gripper_command": {"source": "number", "topic": "/lab/gripper"},
}


def encoded(kind: str, msg: Any, *, big_endian: bool = False) -> bytes:
    """Return a message serialized."""
    return bytes(STORE.serialize_cdr(msg, kind, little_endian=not big_endian))


def as_recorded_elsewhere(recording: Any, *, delay_ns: int = 3 * MS) -> list[Stored]:
    """Return a recording of ours as a lab's own topics have it, that say the same.

    Joints come in another order, among them the gripper's finger; a number has 32 bits; what has a
    header arrives later than its stamp.
    """
    stored: list[Stored] = []
    closures = {
        stamp_ns: messages.decode_number(cdr)
        for stamp_ns, topic, cdr in recording.messages
        if topic == "/gripper_state"
    }
    names = {
        "/wrist_cam/image_raw": "/wrist/color/image_raw",
        "/third_cam/image_raw": "/overview/image_raw",
        "/wrist_cam/image_raw/compressed": "/wrist/color/image_raw/compressed",
        "/third_cam/image_raw/compressed": "/overview/image_raw/compressed",
        "/tool_pose": "/tcp_pose_broadcaster/pose",
        "/target_pose": "/lab/target",
    }
    for stamp_ns, topic, cdr in recording.messages:
        received_ns = stamp_ns + delay_ns
        if topic == "/joint_states":
            msg = messages.decode(messages.JOINTS, cdr)
            names_there = [*msg.name[::-1]]
            positions = [*msg.position[::-1]]
            if stamp_ns in closures:
                names_there.insert(2, FINGER)
                positions.insert(2, CLOSED_RAD * closures[stamp_ns])
            msg.name, msg.position = names_there, np.array(positions)
            msg.velocity = np.zeros(0)
            stored.append(
                (received_ns, "/lab/joint_states", messages.JOINTS, encoded(messages.JOINTS, msg))
            )
        elif topic == "/gripper_command":
            kind = "std_msgs/msg/Float32"
            msg = STORE.types[kind](data=messages.decode_number(cdr))
            stored.append((stamp_ns, "/lab/gripper", kind, encoded(kind, msg)))
        elif topic in names:
            if topic.endswith("image_raw"):
                kind = messages.IMAGE
            else:
                kind = messages.JPEG if "image" in topic else messages.POSE
            stored.append((received_ns, names[topic], kind, cdr))
    return sorted(stored)


def write_bag(
    folder: Path,
    stored: Sequence[Stored],
    variant: str = "mcap",
    *,
    files: int = 1,
    version: int = 9,
    custom: dict[str, str] | None = None,
) -> Path:
    """Write a bag, with the metadata that `ros2 bag record` writes.

    Args:
        folder: To make.
        stored: The messages, in the order of arrival.
        variant: Of the storage.
        files: In how many files, one after the other.
        version: Of the metadata.
        custom: As of `--custom-data`.
    """
    storage, mode = VARIANTS[variant]
    folder.mkdir(parents=True)
    names = []
    for number in range(files):
        part = folder / f"{folder.name}_{number}"
        begin, end = (len(stored) * n // files for n in (number, number + 1))
        _write_part(part, stored[begin:end], storage, mode)
        (file,) = (path for path in part.iterdir() if path.name != "metadata.yaml")
        file.rename(folder / file.name)
        names.append(file.name)
        (part / "metadata.yaml").unlink()
        part.rmdir()
    packed = {CompressionMode.FILE: "FILE", CompressionMode.MESSAGE: "MESSAGE"}.get(mode, "")
    write_metadata(folder, stored, names, storage.name.lower(), packed, version, custom)
    return folder


def _write_part(folder: Path, stored: Sequence[Stored], storage: Any, mode: Any) -> None:
    writer = Writer(folder, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections = {
            topic: writer.add_connection(topic, kind, typestore=STORE)
            for topic, kind in sorted({(topic, kind) for _, topic, kind, _ in stored})
        }
        for received_ns, topic, _, cdr in stored:
            writer.write(connections[topic], received_ns, cdr)


def write_metadata(
    folder: Path,
    stored: Sequence[Stored],
    names: Iterable[str],
    storage: str,
    packed: str,
    version: int,
    custom: dict[str, str] | None = None,
) -> None:
    """Write `metadata.yaml` in the shape of a version, 4 to 9."""
    times_ns = [received_ns for received_ns, *_ in stored] or [2**63 - 1]
    counts: dict[tuple[str, str], int] = {}
    for _, topic, kind, _ in stored:
        counts[topic, kind] = counts.get((topic, kind), 0) + 1
    qos = {"history": 1, "depth": 10, "reliability": 1, "durability": 2}
    section: dict[str, Any] = {
        "version": version,
        "storage_identifier": storage,
        "duration": {"nanoseconds": max(times_ns) - min(times_ns)},
        "starting_time": {"nanoseconds_since_epoch": min(times_ns)},
        "message_count": len(stored),
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic,
                    "type": kind,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [qos] if version >= 9 else yaml.safe_dump([qos]),
                    **({"type_description_hash": "RIHS01_" + "0" * 64} if version >= 7 else {}),
                },
                "message_count": count,
            }
            for (topic, kind), count in [
                *counts.items(),
                (("/rosout", "rcl_interfaces/msg/Log"), 0),
            ]
        ],
        "compression_format": "zstd" if packed else "",
        "compression_mode": packed,
        "relative_file_paths": list(names),
    }
    if version >= 5:
        section["files"] = [
            {
                "path": name.removesuffix(".zstd"),
                "starting_time": {"nanoseconds_since_epoch": min(times_ns)},
                "duration": {"nanoseconds": 0},
                "message_count": 1,
            }
            for name in section["relative_file_paths"]
        ]
    if version >= 6:
        section["custom_data"] = custom
    if version >= 8:
        section["ros_distro"] = "jazzy"
    text = yaml.safe_dump({"rosbag2_bagfile_information": section}, sort_keys=False)
    (folder / "metadata.yaml").write_text(text)


def write_raw_mcap(path: Path, stored: Sequence[Stored], *, chunks: str) -> None:
    """Write an MCAP file by hand, for what our own writer can't do.

    Args:
        path: Of the file.
        stored: The messages.
        chunks: `lz4`, or `none` for messages in no chunk, as storage preset `fastwrite` has them.
    """
    records = bytearray()
    topics = sorted({(topic, kind) for _, topic, kind, _ in stored})
    for number, (topic, kind) in enumerate(topics, 1):
        schema = struct.pack("<H", number) + _text(kind) + _text("ros2msg") + _text("")
        channel = struct.pack("<HH", number, number) + _text(topic) + _text("cdr") + _text("")
        records += _record(3, schema) + _record(4, channel)
    numbers = {topic: number for number, (topic, _) in enumerate(topics, 1)}
    for sequence, (received_ns, topic, _, cdr) in enumerate(stored):
        head = struct.pack("<HIQQ", numbers[topic], sequence, received_ns, received_ns)
        records += _record(5, head + cdr)
    whole = bytes(records)
    if chunks == "lz4":
        packed = lz4.frame.compress(whole)
        begin, end = stored[0][0], stored[-1][0]
        head = struct.pack("<QQQI", begin, end, len(whole), crc32(whole)) + _text("lz4")
        whole = _record(6, head + struct.pack("<Q", len(packed)) + packed)
    magic = b"\x89MCAP0\r\n"
    header = _record(1, _text("ros2") + _text("libmcap"))
    path.write_bytes(magic + header + whole + _record(15, bytes(4)) + magic)


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text.encode())) + text.encode()


def _record(opcode: int, content: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(content)) + content
