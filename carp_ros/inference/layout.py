"""The meaning of a state's and an action's numbers, as the dataset describes it.

Two layouts can move an arm: `tool`, a tool pose and a gripper closure, and `joints`, the arm's
joint positions and a gripper closure. All others are `free`: a policy with such a layout can be
trained, exported, run from Python and evaluated, but moves no arm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from carp_ros.geometry import quaternion_from_rot6d, rot6d_from_quaternion
from carp_ros.strict import Between, Matching, Sized
from carp_ros.types import Array, Pose

TOOL_NAMES = ("x", "y", "z", *(f"rot6d_{i}" for i in range(6)), "gripper")
TOOL_UNITS = ("m", "m", "m", "1", "1", "1", "1", "1", "1", "1")
WRENCH_NAMES = ("force_x", "force_y", "force_z", "torque_x", "torque_y", "torque_z")
WRENCH_UNITS = ("N", "N", "N", "Nm", "Nm", "Nm")
GRIPPER = "gripper"
"""The last number of an arm's state or action: 0 open to 1 closed."""

_FARTHEST = {"m": 3.0, "rad": 100.0, "1": 1.01}
"""Bounds of an arm layout's numbers, by unit: 3 m is over three times any arm's reach here."""

UNKNOWN_UNIT = "?"

MOST_NUMBERS = 64

# control characters, unusual spaces, bidirectional marks, surrogates
_UNPRINTED = r"\x00-\x1f\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u205f-\u206f\ud800-\udfff\ufeff"
LINE = Matching(
    rf"(?=.*[^ ])[^{_UNPRINTED}]{{1,200}}", "one line of 1 to 200 characters, not spaces alone"
)
"""Text for people, such as a task: free-form, and never used as a path."""

Line = Annotated[str, LINE]

_Bounds = Annotated[tuple[float, ...], Between(-1e6, 1e6), Sized(1, MOST_NUMBERS)]


@dataclass(frozen=True)
class Layout:
    """The meaning of each number of a state or an action.

    Attributes:
        kind: `tool`, `joints` or `free`.
        names: Of each number. `tool`: `TOOL_NAMES`, and in a state perhaps `WRENCH_NAMES` after
            them; `joints`: the arm's joints, then `gripper`.
        units: Of each number: `m`, `rad`, `1`, ...; `UNKNOWN_UNIT` if unknown.
    """

    kind: Literal["tool", "joints", "free"]
    names: Annotated[tuple[Line, ...], Sized(1, MOST_NUMBERS)]
    units: Annotated[tuple[Line, ...], Sized(1, MOST_NUMBERS)]

    def __len__(self) -> int:
        return len(self.names)

    def contradictions(self) -> Iterator[str]:
        """Yield contradictions between these values."""
        both = (self.names, self.units)
        if self.kind == "tool" and both not in (_TOOL, _TOOL_AND_WRENCH):
            yield (
                f"a tool's layout is {list(self.names)} in {list(self.units)}; expected"
                f" {list(TOOL_NAMES)} in {list(TOOL_UNITS)}, and in a state perhaps"
                f" {list(WRENCH_NAMES)} in {list(WRENCH_UNITS)} after them"
            )
        wanted = (*["rad"] * (len(self.names) - 1), "1")
        if self.kind == "joints" and (self.names[-1] != GRIPPER or self.units != wanted):
            yield (
                f"a layout of joints is {list(self.names)} in {list(self.units)}; expected the"
                f" joints in rad, then {GRIPPER!r} in 1"
            )
        if len(set(self.names)) < len(self.names):
            yield f"names are {list(self.names)}; expected each once"
        if len(self.units) != len(self.names):
            yield f"units are {list(self.units)}; expected {len(self.names)}, one a name"

    def spanning(self, low: Sequence[float], high: Sequence[float]) -> VectorLayout:
        """Return the same layout with ranges of training."""
        return VectorLayout(self.kind, self.names, self.units, tuple(low), tuple(high))

    @property
    def has_wrench(self) -> bool:
        """Whether a tool's numbers end with the measured wrench, which only a state may have."""
        return self.kind == "tool" and len(self.names) > len(TOOL_NAMES)

    @property
    def is_rotation(self) -> tuple[bool, ...]:
        """Which numbers belong to a rotation: they are in [-1, 1] and must not be scaled."""
        return tuple(self.kind == "tool" and name.startswith("rot6d") for name in self.names)


@dataclass(frozen=True)
class VectorLayout(Layout):
    """The meaning of each number of a state or an action, and its range in training.

    Attributes:
        low, high: Minimum and maximum of each number in training.
    """

    low: _Bounds
    high: _Bounds

    def contradictions(self) -> Iterator[str]:
        """Yield contradictions between these values."""
        yield from super().contradictions()
        count = len(self.names)
        if len(self.low) != count or len(self.high) != count:
            yield (
                f"low and high have {len(self.low)} and {len(self.high)} numbers; expected {count}"
                " each, one a name"
            )
            return
        for name, unit, low, high in zip(self.names, self.units, self.low, self.high):
            if low > high:
                yield f"{name} spans {low:g} to {high:g}; expected low not above high"
            most = _FARTHEST.get(unit, math.inf) if self.kind != "free" else math.inf
            if max(abs(low), abs(high)) > most:
                yield f"{name} spans {low:g} to {high:g}; expected {-most:g} to {most:g} {unit}"


_TOOL = (TOOL_NAMES, TOOL_UNITS)
_TOOL_AND_WRENCH = (TOOL_NAMES + WRENCH_NAMES, TOOL_UNITS + WRENCH_UNITS)
TOOL = Layout("tool", *_TOOL)
TOOL_AND_WRENCH = Layout("tool", *_TOOL_AND_WRENCH)
"""A state with the force [N] and torque [Nm] on the tool, about the TCP and in its axes."""


def vector_from_tcp_pose(tcp_pose: Pose, gripper: float) -> Array:
    """Return `[x y z, rot6d, gripper]` of shape (10,), in the order of `TOOL_NAMES`.

    Args:
        tcp_pose: `base_from_tcp`.
        gripper: 0 open to 1 closed.
    """
    return np.concatenate(
        [tcp_pose.position, rot6d_from_quaternion(tcp_pose.quaternion), [gripper]]
    )


def tcp_pose_from_vector(vector: Array) -> tuple[Pose, float]:
    """Return pose and closure of a vector of shape (10,); the inverse of `vector_from_tool`.

    A network's rot6d is not exactly a rotation; it is orthonormalised by Gram-Schmidt.
    """
    position = np.asarray(vector[:3], np.float64)
    quaternion = quaternion_from_rot6d(np.asarray(vector[3:9], np.float64))
    return Pose(position, quaternion), float(vector[9])
