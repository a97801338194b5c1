"""Shared memory between the servo process and the node that speaks with the vendor's driver.

The servo process imports no ROS: `arm_bridge_node` passes the vendor's joint states to it, and its
targets to the vendor's controller. Only the newest value counts, and neither side waits.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from carp_ros.errors import MessageError
from carp_ros.processes.claim import domain
from carp_ros.processes.mailbox import Mailbox
from carp_ros.refusal import refusing
from carp_ros.types import Array

ARM_LINK = "CARP_ARM_LINK"
"""Environment variable that tells the links of several systems in one ROS domain apart. The process
that starts a system sets it for all of its nodes."""

MOST_JOINTS = 8
MOST_LEAD_RAD = 0.15
"""A target further ahead of the arm is not sent: the vendor's controller would leap there. At the
fastest joint speed that a rig may have, 2 rad/s, an arm that lags by 75 ms is not there yet."""
_TEXT_BYTES = 320

Record = np.ndarray[Any, Any]


class Trouble(IntEnum):
    """Why the vendor's controller follows no targets; the numbers are used in shared memory."""

    NONE = 0
    STARTING = 1
    """Nothing is known yet."""
    NO_STATES = 2
    """No joint states that could be used."""
    SLOW_STATES = 3
    """Joint states come, but at too low a rate."""
    NO_CONTROLLER = 4
    """The controller does not answer."""
    WRONG_CONTROLLER = 5
    """The controller has other joints, or takes something else than positions."""
    INACTIVE = 6
    """The controller manager reports that the controller is not active."""
    PROGRAM_STOPPED = 7
    """The robot does not run the driver's program."""
    RIVAL = 8
    """Another program publishes to the controller."""


STATE_DTYPE = np.dtype(
    [
        ("joint_count", np.int64),
        ("robot_time_s", np.float64),
        ("received_ns", np.int64),
        ("joints", np.float64, MOST_JOINTS),
        ("velocities", np.float64, MOST_JOINTS),
        ("speed_scaling", np.float64),
        ("trouble", np.int64),
        ("text", f"S{_TEXT_BYTES}"),
    ]
)
TARGET_DTYPE = np.dtype(
    [("joint_count", np.int64), ("sent_ns", np.int64), ("joints", np.float64, MOST_JOINTS)]
)


@dataclass(frozen=True, slots=True)
class BridgeState:
    """What the node knows of the vendor's driver.

    Attributes:
        robot_time_s: Stamp of the newest usable joint state; 0 before the first.
        received_ns: When that arrived, by `time.monotonic_ns`; 0 before the first.
        joints, velocities: Of shape (J,) in [rad] and [rad/s], in the robot's own order.
        speed_scaling: The share of commanded speed that the robot executes, 0 to 1.
        trouble: Why the controller follows no targets.
        text: The same in words, with the remedy.
    """

    robot_time_s: float
    received_ns: int
    joints: Array
    velocities: Array
    speed_scaling: float
    trouble: Trouble
    text: str

    def to_record(self) -> Record:
        """Return this as a `STATE_DTYPE` record."""
        record = np.zeros((), STATE_DTYPE)
        n = record["joint_count"] = len(self.joints)
        record["joints"][:n], record["velocities"][:n] = self.joints, self.velocities
        record["text"] = self.text.encode()[:_TEXT_BYTES]
        for name in ("robot_time_s", "received_ns", "speed_scaling", "trouble"):
            record[name] = getattr(self, name)
        return record

    @classmethod
    def from_record(cls, record: Record) -> BridgeState:
        """Return the state of a `STATE_DTYPE` record.

        Raises:
            MessageError: If it is invalid.
        """
        with refusing(MessageError, "state of arm_bridge_node"):
            n = _count(record)
            return cls(
                robot_time_s=float(record["robot_time_s"]),
                received_ns=int(record["received_ns"]),
                joints=record["joints"][:n].copy(),
                velocities=record["velocities"][:n].copy(),
                speed_scaling=float(record["speed_scaling"]),
                trouble=Trouble(int(record["trouble"])),
                text=record["text"].item().decode(errors="replace"),
            )


def target_to_record(joints: Array, now_ns: int) -> Record:
    """Return a joint target of shape (J,) in [rad], sent at `now_ns`, as a record."""
    record = np.zeros((), TARGET_DTYPE)
    n = record["joint_count"] = len(joints)
    record["joints"][:n] = joints
    record["sent_ns"] = now_ns
    return record


def target_from_record(record: Record) -> tuple[Array, int]:
    """Return the joint target in a record and when it was sent.

    Raises:
        MessageError: If it is invalid: no joints, or a number that is not finite.
    """
    with refusing(MessageError, "target for the arm"):
        joints = record["joints"][: _count(record)].copy()
        if not np.isfinite(joints).all():
            raise ValueError(f"joint target is {joints.tolist()}; expected finite numbers")
        return joints, int(record["sent_ns"])


class ArmLink:
    """The mailboxes between the node and the servo process.

    Args:
        name: Name of the link.
        create: True in the node, which owns the files.

    Raises:
        DeviceError: If `create` is False and the node did not make them.
    """

    def __init__(self, name: str, *, create: bool) -> None:
        self.state = Mailbox(f"{name}_state", STATE_DTYPE, create=create)
        self.target = Mailbox(f"{name}_target", TARGET_DTYPE, create=create)

    @property
    def orphaned(self) -> bool:
        """Whether the node that made them is gone or was started again."""
        return self.state.orphaned or self.target.orphaned

    def unlink(self) -> None:
        """Remove the files."""
        self.state.unlink()
        self.target.unlink()


def arm_link_name() -> str:
    """Return the name of this system's link, the same in the node and in the servo process."""
    return f"arm_{domain()}_{os.environ.get(ARM_LINK, '')}"


def _count(record: Record) -> int:
    n = int(record["joint_count"])
    if not 0 < n <= MOST_JOINTS:
        raise ValueError(f"it has {n} joints; expected 1 to {MOST_JOINTS}")
    return n
