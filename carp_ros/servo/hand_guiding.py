"""When the arm is free for a person's hand, and how it is held again."""

from __future__ import annotations

from enum import Enum, auto

import numpy as np

from carp_ros.types import ArmState

RESTING_RAD_S = 0.02
_SETTLING_NS = 20_000_000  # until the velocities are measured after the arm was told to hold
_LONGEST_SETTLING_NS = 2_000_000_000
_MOST_PUSH_N = 30.0
"""An arm that is pushed harder is not freed: it would leap."""


class Hand(Enum):
    """What a tick asks of the arm in place of a joint target."""

    NONE = auto()
    FREE = auto()
    """Let a person move it from now on."""
    KEEP = auto()
    """Go on as it is, free or being held again."""
    HOLD = auto()
    """Hold it where it is."""


class _Phase(Enum):
    HELD = auto()
    FREE = auto()
    SETTLING = auto()


class HandGuiding:
    """The phases of hand guiding: held, free, and settling until the arm stands again."""

    def __init__(self) -> None:
        self._phase = _Phase.HELD
        self._since_ns = 0

    @property
    def active(self) -> bool:
        """Whether the arm follows no joint targets."""
        return self._phase is not _Phase.HELD

    @property
    def free(self) -> bool:
        """Whether a person may move the arm."""
        return self._phase is _Phase.FREE

    def begin(self) -> Hand:
        """Free the arm, which must stand still and follow joint targets."""
        self._phase = _Phase.FREE
        return Hand.FREE

    def step(self, now_ns: int, arm: ArmState, *, wanted: bool) -> Hand:
        """Return what to ask of the arm now; NONE once it stands and is held.

        Args:
            now_ns: The time.
            arm: Newest robot state.
            wanted: Whether a person may go on.
        """
        if self._phase is _Phase.FREE:
            if wanted:
                return Hand.KEEP
            self._phase, self._since_ns = _Phase.SETTLING, now_ns
            return Hand.HOLD
        follows = arm.ready and arm.safety.may_move
        settled = now_ns - self._since_ns >= _SETTLING_NS and is_at_rest(arm)
        if settled or not follows:
            self._phase = _Phase.HELD
            return Hand.NONE
        return Hand.KEEP

    def problem(self, now_ns: int) -> str:
        """Return why the arm does not stand although it has had time to; empty if it is fine."""
        late = self._phase is _Phase.SETTLING and now_ns - self._since_ns > _LONGEST_SETTLING_NS
        return "the arm goes on moving after it was guided by hand: stop it" if late else ""


def why_not_free(arm: ArmState) -> str:
    """Return why an arm that stands must not be freed; empty if it may be."""
    if arm.wrench is None:
        return ""
    force_n = float(np.linalg.norm(arm.wrench[:3]))
    if force_n <= _MOST_PUSH_N:  # false for NaN
        return ""
    return (
        f"{force_n:.0f} N push the tool (limit {_MOST_PUSH_N:g} N), so that it would leap if it"
        " were free: take it off what it touches, and check the payload set on the robot, then"
        " reset"
    )


def is_at_rest(arm: ArmState) -> bool:
    """Return whether the arm stands still."""
    return float(np.abs(arm.velocities).max()) <= RESTING_RAD_S
