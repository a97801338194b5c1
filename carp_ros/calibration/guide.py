"""Guides a person through the views of a calibration: takes one when all is still, names the next.

A view is taken by itself once the arm has stood still and the board's corners have stayed where
they were, unless it resembles one that was taken before. No I/O, no clock, no ROS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from carp_ros.calibration.board import BoardDetector, BoardView, Image
from carp_ros.calibration.coverage import (
    Coverage,
    coverage_of,
    next_view,
    suffices,
)
from carp_ros.calibration.projection import camera_from_board
from carp_ros.calibration.transforms import distance
from carp_ros.types import Array, Intrinsics, Pose

_STILL_S = 0.4
STILL_RAD_S = 0.005
_STILL_PX = 0.5
_LEAST_SHARE = 0.4  # of the board's corners
_APART_M, _APART_RAD = 0.03, 0.09


@dataclass(frozen=True)
class Moment:
    """What the running rig shows at one time.

    Attributes:
        stamp_ns: When the image was taken.
        image: RGB of shape (H, W, 3).
        base_from_flange: The arm's pose then; None if no arm's state is there.
        speed_rad_s: Of the fastest joint; NaN if unknown: then no view that needs the arm is taken.
    """

    stamp_ns: int
    image: Image
    base_from_flange: Pose | None
    speed_rad_s: float


class Wait(Enum):
    """Why no view is taken now; the value says it to a person."""

    NONE = ""
    NO_ARM = "there is no state of the arm: is the rig running?"
    NO_BOARD = "the board is not seen, or less than half of it"
    MOVING = "hold still"
    KNOWN = "this view is taken"


@dataclass(frozen=True)
class Advice:
    """What to do next.

    Attributes:
        wait: Why no view was taken of this moment.
        taken: The view that was taken; None if none was.
        next: The view that would help most, for a person.
        done: Whether the views suffice.
    """

    wait: Wait
    taken: BoardView | None
    next: str
    done: bool


class ViewGuide:
    """Chooses views of a board.

    Args:
        detector: Finds the board.
        intrinsics: Of the camera; a guess will do, as poses only tell views apart.
        needs_arm: Whether a view needs the arm's pose.
        taken: Views that exist already, of an earlier attempt.
    """

    def __init__(
        self,
        detector: BoardDetector,
        intrinsics: Intrinsics,
        *,
        needs_arm: bool,
        taken: Sequence[BoardView] = (),
    ) -> None:
        self._detector = detector
        self._intrinsics = intrinsics
        self._needs_arm = needs_arm
        self._least_corners = _LEAST_SHARE * len(detector.board.corners_m)
        self._last: BoardView | None = None
        self._still_since_ns: int | None = None
        self._poses: list[Array] = []
        self.views: list[BoardView] = []
        for view in taken:
            self._add(view)

    @property
    def coverage(self) -> Coverage:
        """Where in the image the board was seen."""
        return coverage_of(self.views, (self._intrinsics.width_px, self._intrinsics.height_px))

    @property
    def done(self) -> bool:
        """Whether the views suffice."""
        return suffices(self.coverage, self._poses, needs_turns=self._needs_arm)

    @property
    def next(self) -> str:
        """The view that would help most next, for a person."""
        return next_view(self.coverage, self._poses, needs_turns=self._needs_arm).words

    def look(self, name: str, moment: Moment) -> Advice:
        """Look at a moment, and take it as a view if that helps.

        Args:
            name: The view's name if it is taken.
            moment: What is seen now.
        """
        wait, view = self._judge(name, moment)
        taken = view if wait is Wait.NONE else None
        if taken is not None:
            self._add(taken)
            self._still_since_ns = None
        return Advice(wait, taken, self.next, self.done)

    def _judge(self, name: str, moment: Moment) -> tuple[Wait, BoardView | None]:
        if self._needs_arm and moment.base_from_flange is None:
            return Wait.NO_ARM, None
        view = self._detector.detect(name, moment.image)
        last, self._last = self._last, view
        if view is None or len(view.ids) < self._least_corners:
            self._still_since_ns = None
            return Wait.NO_BOARD, None
        is_unknown = self._needs_arm and np.isnan(moment.speed_rad_s)
        arm_moves = is_unknown or moment.speed_rad_s > STILL_RAD_S
        if arm_moves or last is None or _moved_px(last, view) > _STILL_PX:
            self._still_since_ns = None
            return Wait.MOVING, view
        if self._still_since_ns is None or moment.stamp_ns < self._still_since_ns:
            self._still_since_ns = moment.stamp_ns  # also if the camera's clock was set back
        if (moment.stamp_ns - self._still_since_ns) * 1e-9 < _STILL_S:
            return Wait.MOVING, view
        return (Wait.KNOWN if self._is_known(view) else Wait.NONE), view

    def _is_known(self, view: BoardView) -> bool:
        pose = camera_from_board(view, self._detector.board, self._intrinsics)
        apart = (distance(pose, other) for other in self._poses)
        return any(metres < _APART_M and turn < _APART_RAD for metres, turn in apart)

    def _add(self, view: BoardView) -> None:
        self.views.append(view)
        self._poses.append(camera_from_board(view, self._detector.board, self._intrinsics))


def _moved_px(before: BoardView, now: BoardView) -> float:
    """Return how far corners seen in both views moved, in the median; infinite if there are none.

    The median, as a reflection may shift one of them.
    """
    _, first, second = np.intersect1d(before.ids, now.ids, return_indices=True)
    if not len(first):
        return float("inf")
    steps = np.linalg.norm(before.corners_px[first] - now.corners_px[second], axis=1)
    return float(np.median(steps))


def coverage_map(coverage: Coverage) -> str:
    """Return coverage as a few lines of text: `#` where corners were seen, `.` where not."""
    return "\n".join("".join("#" if n else "." for n in row) for row in coverage.counts)
