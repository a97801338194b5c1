"""Messages between the control node and the servo process, and their shared-memory layout.

`Command` and `Chunk` go to the servo, `ServoState` comes back, each through a `Mailbox`: only the
newest value counts, and neither side waits. Times are `time.monotonic_ns`, which all processes on
one machine share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from carp_ros.control.realtime import Lateness
from carp_ros.control.servo import ServoMode
from carp_ros.errors import ChunkError, MessageError
from carp_ros.processes.mailbox import Mailbox, remove_leftovers
from carp_ros.refusal import refusing
from carp_ros.reports.control import Fault
from carp_ros.types import Array, Chunk, Pose, SafetyState, Twist

MAX_JOINTS = 8
MAX_STEPS = 128
_TEXT = "S320"

Record = np.ndarray[Any, Any]

COMMAND_DTYPE = np.dtype(
    [
        ("heartbeat_ns", np.int64),
        ("mode", np.int64),
        ("enables", np.int64),
        ("resets", np.int64),
        ("exit", np.bool_),
        ("twist", np.float64, 6),
        ("twist_ns", np.int64),
        ("gripper", np.float64),
    ]
)
CHUNK_DTYPE = np.dtype(
    [
        ("steps", np.int64),
        ("stamp_ns", np.int64),
        ("times_ns", np.int64, MAX_STEPS),
        ("positions", np.float64, (MAX_STEPS, 3)),
        ("quaternions", np.float64, (MAX_STEPS, 4)),
        ("gripper", np.float64, MAX_STEPS),
    ]
)
STATE_DTYPE = np.dtype(
    [
        ("now_ns", np.int64),
        ("ticks", np.int64),
        ("robot_time_s", np.float64),
        ("joint_count", np.int64),
        ("joints", np.float64, MAX_JOINTS),
        ("velocities", np.float64, MAX_JOINTS),
        ("target_joints", np.float64, MAX_JOINTS),
        ("tcp_pose", np.float64, 7),
        ("target_pose", np.float64, 7),
        ("gripper", np.float64),
        ("mode", np.int64),
        ("moving", np.bool_),
        ("ready", np.bool_),
        ("busy", np.bool_),
        ("safety", np.int64),
        ("fault", np.int64),
        ("fault_text", _TEXT),
        ("resets_done", np.int64),
        ("chunk_stamp_ns", np.int64),
        ("chunk_begun_ns", np.int64),
        ("chunk_late_ns", np.int64),
        ("chunks_accepted", np.int64),
        ("chunks_refused", np.int64),
        ("refusal", _TEXT),
        ("priority", np.int64),
        ("speed_scaling", np.float64),
        ("wrench", np.float64, 6),
    ]
)
LATENESS_DTYPE = np.dtype(
    [("counts", np.int64, Lateness.BINS + 1), ("worst_ns", np.int64), ("skipped", np.int64)]
)
NOTE_DTYPE = np.dtype([("text", _TEXT)])


@dataclass(frozen=True, slots=True)
class Command:
    """A command to the servo.

    Attributes:
        heartbeat_ns: When this was written; silence stops the arm.
        mode: Which motion may run.
        enables: How often an operator has enabled motion; motion after a fault needs a new enable.
        resets: How often an operator has requested a fault reset.
        exit: Whether the servo process must exit.
        twist: Tool velocity to follow while `mode` is TWIST.
        twist_ns: When the operator gave it.
        gripper: Gripper closure, 0 open to 1 closed, while `mode` is TWIST.
    """

    heartbeat_ns: int
    mode: ServoMode
    enables: int
    resets: int
    exit: bool
    twist: Twist
    twist_ns: int
    gripper: float

    def to_record(self) -> Record:
        """Return this as a `COMMAND_DTYPE` record."""
        record = np.zeros((), COMMAND_DTYPE)
        for name in ("heartbeat_ns", "mode", "enables", "resets", "exit", "twist_ns", "gripper"):
            record[name] = getattr(self, name)
        record["twist"][:3] = self.twist.linear
        record["twist"][3:] = self.twist.angular
        return record

    @classmethod
    def from_record(cls, record: Record) -> Command:
        """Return the command of a `COMMAND_DTYPE` record.

        Raises:
            MessageError: If it is invalid: an unknown mode, a twist that is not finite, or a
                gripper closure outside 0 to 1.
        """
        with refusing(MessageError, "command to the servo"):
            twist = record["twist"].copy()
            gripper = float(record["gripper"])
            if not 0.0 <= gripper <= 1.0:  # also false for NaN
                raise ValueError(f"gripper closure is {gripper}; expected 0 (open) to 1 (closed)")
            return cls(
                heartbeat_ns=int(record["heartbeat_ns"]),
                mode=ServoMode(int(record["mode"])),
                enables=int(record["enables"]),
                resets=int(record["resets"]),
                exit=bool(record["exit"]),
                twist=Twist(twist[:3], twist[3:]),
                twist_ns=int(record["twist_ns"]),
                gripper=gripper,
            )


def chunk_to_record(chunk: Chunk, by_ns: int = 0) -> Record:
    """Return a chunk as a `CHUNK_DTYPE` record.

    Args:
        chunk: The chunk.
        by_ns: Offset of the record's clock from the chunk's.

    Raises:
        ChunkError: If it has more than `MAX_STEPS` steps.
    """
    n = len(chunk.times_ns)
    if n > MAX_STEPS:
        raise ChunkError(f"chunk has {n} steps; expected at most {MAX_STEPS}: send fewer at a time")
    record = np.zeros((), CHUNK_DTYPE)
    record["steps"], record["stamp_ns"] = n, chunk.stamp_ns + by_ns
    record["times_ns"][:n] = chunk.times_ns + by_ns
    for name in ("positions", "quaternions", "gripper"):
        record[name][:n] = getattr(chunk, name)
    return record


def chunk_from_record(record: Record) -> Chunk:
    """Return the chunk in a `CHUNK_DTYPE` record, validated again.

    Raises:
        ChunkError: If it is invalid, for instance because its writer died while writing.
    """
    n = int(record["steps"])
    if not 0 < n <= MAX_STEPS:
        raise ChunkError(f"chunk has {n} steps; expected 1 to {MAX_STEPS}")
    return Chunk(
        int(record["stamp_ns"]),
        *(record[name][:n].copy() for name in ("times_ns", "positions", "quaternions", "gripper")),
    )


@dataclass(frozen=True, slots=True)
class ServoState:
    """The servo's state after its last tick.

    Attributes:
        now_ns: Time of the tick.
        ticks: Number of ticks so far.
        robot_time_s: The robot's own clock.
        joints, velocities: Measured, of shape (J,) in [rad] and [rad/s].
        target_joints: Commanded, of shape (J,) in [rad].
        tcp_pose, target_pose: `base_from_tcp` of the measured and the commanded joints.
        gripper: Commanded closure, 0 open to 1 closed.
        mode: The active motion.
        moving: Whether the commanded joints are moving.
        ready: Whether the arm executes commands.
        busy: Whether the loop is blocked, for seconds, by the arm's recovery.
        safety: State of the arm's safety controller.
        fault, fault_text: The latched fault; NONE and empty if there is none.
        resets_done: The last of `Command.resets` that was handled.
        chunk_stamp_ns, chunk_begun_ns: When the observation behind the newest chunk was taken, and
            when that chunk's first target was sent; 0 before the first chunk.
        chunk_late_ns: How much later than its own times that chunk's steps are due.
        chunks_accepted, chunks_refused, refusal: Counts, and why the last refused chunk was.
        priority: The loop's SCHED_FIFO priority, 0 for none.
        speed_scaling: The share of commanded speed that the arm executes, 0 to 1.
        wrench: As in `ArmState`.
    """

    now_ns: int
    ticks: int
    robot_time_s: float
    joints: Array
    velocities: Array
    target_joints: Array
    tcp_pose: Pose
    target_pose: Pose
    gripper: float
    mode: ServoMode
    moving: bool
    ready: bool
    busy: bool
    safety: SafetyState
    fault: Fault
    fault_text: str
    resets_done: int
    chunk_stamp_ns: int
    chunk_begun_ns: int
    chunk_late_ns: int
    chunks_accepted: int
    chunks_refused: int
    refusal: str
    priority: int
    speed_scaling: float = 1.0
    wrench: Array | None = None

    def to_record(self) -> Record:
        """Return this as a `STATE_DTYPE` record."""
        n = len(self.joints)
        record = np.zeros((), STATE_DTYPE)
        record["joint_count"] = n
        for name in ("joints", "velocities", "target_joints"):
            record[name][:n] = getattr(self, name)
        for name in ("tcp_pose", "target_pose"):
            pose: Pose = getattr(self, name)
            record[name][:3], record[name][3:] = pose.position, pose.quaternion
        for name in ("fault_text", "refusal"):
            record[name] = getattr(self, name).encode()[:320]
        record["wrench"] = _NOT_MEASURED if self.wrench is None else self.wrench
        for name in _PLAIN_STATE:
            record[name] = getattr(self, name)
        return record

    @classmethod
    def from_record(cls, record: Record) -> ServoState:
        """Return the state of a `STATE_DTYPE` record.

        Raises:
            MessageError: If it is invalid.
        """
        with refusing(MessageError, "state of the servo"):
            return cls._read(record)

    @classmethod
    def _read(cls, record: Record) -> ServoState:
        n = int(record["joint_count"])
        if not 0 < n <= MAX_JOINTS:
            raise ValueError(f"it has {n} joints; expected 1 to {MAX_JOINTS}")
        values = {name: record[name].item() for name in _PLAIN_STATE}
        values |= {
            name: record[name][:n].copy() for name in ("joints", "velocities", "target_joints")
        }
        values |= {
            name: Pose(record[name][:3].copy(), record[name][3:].copy())
            for name in ("tcp_pose", "target_pose")
        }
        values |= {
            name: record[name].item().decode(errors="replace") for name in ("fault_text", "refusal")
        }
        wrench = record["wrench"].copy()
        values["wrench"] = None if np.isnan(wrench).all() else wrench
        values["mode"] = ServoMode(values["mode"])
        values["safety"] = SafetyState(values["safety"])
        values["fault"] = Fault(values["fault"])
        return cls(**values)


class ServoLink:
    """The mailboxes between one control node and its servo process.

    Args:
        name: Name of this link, unique on this machine.
        create: True in the control node, which owns the files.

    Raises:
        DeviceError: If `create` is False and the control node did not make them.
    """

    def __init__(self, name: str, *, create: bool) -> None:
        self.name = name
        if create:
            remove_leftovers()
        self.command = Mailbox(f"{name}_command", COMMAND_DTYPE, create=create)
        self.chunk = Mailbox(f"{name}_chunk", CHUNK_DTYPE, create=create)
        self.state = Mailbox(f"{name}_state", STATE_DTYPE, create=create)
        self.lateness = Mailbox(f"{name}_lateness", LATENESS_DTYPE, create=create)
        self.note = Mailbox(f"{name}_note", NOTE_DTYPE, create=create)

    def unlink(self) -> None:
        """Remove the files."""
        for mailbox in (self.command, self.chunk, self.state, self.lateness, self.note):
            mailbox.unlink()


def link_name(pid: int) -> str:
    """Return the name of the link that the control node of process `pid` makes."""
    return f"{pid}_servo"


_PLAIN_STATE = tuple(
    name
    for name in ServoState.__dataclass_fields__
    if name
    not in (
        "joints",
        "velocities",
        "target_joints",
        "tcp_pose",
        "target_pose",
        "fault_text",
        "refusal",
        "wrench",
    )
)
_NOT_MEASURED = math.nan
