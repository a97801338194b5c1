"""What the numbers of a state and of an action mean: described by the dataset, not by a constant.

Two layouts can move an arm: `tool`, a pose of the tool and a gripper closure, and `joints`, the
arm's joint positions and a gripper closure. Numbers of any other meaning are `free`: a policy of
theirs can be trained, exported, run from Python and evaluated, and moves no arm.
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
GRIPPER = "gripper"
"""The last number of a state or an action that an arm follows: 0 open to 1 closed."""

_FARTHEST = {"m": 3.0, "rad": 100.0, "1": 1.01}
"""What no number of an arm's layout lies beyond, by unit: no arm here reaches a third of it."""

MOST_NUMBERS = 64

# control characters, odd spaces, marks that turn the direction of writing, halves of characters
_UNPRINTED = r"\x00-\x1f\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u205f-\u206f\ud800-\udfff\ufeff"
LINE = Matching(
    rf"(?=.*[^ ])[^{_UNPRINTED}]{{1,200}}", "one line of 1 to 200 characters, not spaces alone"
)
"""A text that people read, such as a task: it is free, and becomes no path."""

Line = Annotated[str, LINE]

_Bounds = Annotated[tuple[float, ...], Between(-1e6, 1e6), Sized(1, MOST_NUMBERS)]


@dataclass(frozen=True)
class Layout:
    """What each number of a state or an action means.

    Attributes:
        kind: `tool`, `joints` or `free`.
        names: Of each number. `tool`: `TOOL_NAMES`; `joints`: the arm's joints, then `gripper`.
        units: Of each number: `m`, `rad`, `1`, ...; `?` where nobody said.
    """

    kind: Literal["tool", "joints", "free"]
    names: Annotated[tuple[Line, ...], Sized(1, MOST_NUMBERS)]
    units: Annotated[tuple[Line, ...], Sized(1, MOST_NUMBERS)]

    def __len__(self) -> int:
        return len(self.names)

    def contradictions(self) -> Iterator[str]:
        """Yield what these values may not be together."""
        if self.kind == "tool" and (self.names, self.units) != (TOOL_NAMES, TOOL_UNITS):
            yield (
                f"a tool's layout is {list(self.names)} in {list(self.units)}; expected"
                f" {list(TOOL_NAMES)} in {list(TOOL_UNITS)}"
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
        """Return the same with the range that training saw."""
        return VectorLayout(self.kind, self.names, self.units, tuple(low), tuple(high))

    @property
    def is_rotation(self) -> tuple[bool, ...]:
        """Which numbers are of a rotation: within -1 to 1, and not to be scaled."""
        return tuple(self.kind == "tool" and name.startswith("rot6d") for name in self.names)


@dataclass(frozen=True)
class VectorLayout(Layout):
    """What each number of a state or an action means, and the range that training saw.

    Attributes:
        low, high: The least and the greatest value in training, of each number.
    """

    low: _Bounds
    high: _Bounds

    def contradictions(self) -> Iterator[str]:
        """Yield what these values may not be together."""
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


TOOL = Layout("tool", TOOL_NAMES, TOOL_UNITS)


def vector_from_tool(tool: Pose, gripper: float) -> Array:
    """Return `[x y z, rot6d, gripper]` of shape (10,), in the order of `TOOL_NAMES`.

    Args:
        tool: `base_from_tcp`.
        gripper: 0 open to 1 closed.
    """
    return np.concatenate([tool.position, rot6d_from_quaternion(tool.quaternion), [gripper]])


def tool_from_vector(vector: Array) -> tuple[Pose, float]:
    """Return the pose and the closure of a vector of shape (10,); the inverse of the above.

    A network's rot6d is not a rotation's exactly; the nearest Gram-Schmidt frame is taken.
    """
    position = np.asarray(vector[:3], np.float64)
    quaternion = quaternion_from_rot6d(np.asarray(vector[3:9], np.float64))
    return Pose(position, quaternion), float(vector[9])
