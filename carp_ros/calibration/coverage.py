"""Where in the image a board was seen, at which angles, and which view would help most next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from carp_ros.calibration.board import BoardView
from carp_ros.types import Array

_COLUMNS, _ROWS = 8, 6
_FLAT_RAD = 0.17
_TURNED_RAD = 0.52
ENOUGH_VIEWS = 15
ENOUGH_COVERAGE = 0.6
_ENOUGH_TILTS = 4  # of five
_ENOUGH_TURNS = 2  # of three: cables may forbid one


class Tilt(Enum):
    """How a board leans, as seen from the camera; the value says it to a person."""

    NONE = "facing the camera"
    TOP_AWAY = "with its upper edge tilted away by 30 deg"
    BOTTOM_AWAY = "with its lower edge tilted away by 30 deg"
    LEFT_AWAY = "with its left edge tilted away by 30 deg"
    RIGHT_AWAY = "with its right edge tilted away by 30 deg"


class Turn(Enum):
    """How a board is turned in the image against the first view; the value says it to a person."""

    NONE = "upright as in the first view"
    CLOCKWISE = "turned clockwise by 60 deg against the first view"
    ANTICLOCKWISE = "turned anticlockwise by 60 deg against the first view"


@dataclass(frozen=True)
class Coverage:
    """Corners seen in each cell of a grid over the image.

    Attributes:
        size_px: Width and height of the image.
        counts: Of shape (rows, columns), from the upper left.
    """

    size_px: tuple[int, int]
    counts: npt.NDArray[np.int64]

    @property
    def fraction(self) -> float:
        """Fraction of the cells in which a corner was seen."""
        return float((self.counts > 0).mean())


@dataclass(frozen=True)
class NextView:
    """The view that would help most: the board's middle in the image [px], its tilt and turn.

    The turn is None where it does not matter.
    """

    place_px: tuple[int, int]
    tilt: Tilt
    turn: Turn | None = None

    @property
    def words(self) -> str:
        """The same for a person."""
        x, y = self.place_px
        turned = f", {self.turn.value}" if self.turn else ""
        return f"the board around ({x}, {y}) px, {self.tilt.value}{turned}"


def coverage_of(views: Sequence[BoardView], size_px: tuple[int, int]) -> Coverage:
    """Count the corners of all views in each cell of the image."""
    width, height = size_px
    corners = np.concatenate([np.zeros((0, 2)), *(view.corners_px for view in views)])
    counts, _, _ = np.histogram2d(
        corners[:, 1], corners[:, 0], bins=(_ROWS, _COLUMNS), range=((0, height), (0, width))
    )
    return Coverage(size_px, counts.astype(np.int64))


def tilt_of(camera_from_board: Array) -> Tilt:
    """Return how a board leans; `camera_from_board` is of shape (4, 4)."""
    x, y, _ = camera_from_board[:3, 2]  # z into the board: where its face points away from
    if np.hypot(x, y) < np.sin(_FLAT_RAD):
        return Tilt.NONE
    if abs(x) > abs(y):
        return Tilt.LEFT_AWAY if x > 0.0 else Tilt.RIGHT_AWAY
    return Tilt.TOP_AWAY if y > 0.0 else Tilt.BOTTOM_AWAY


def turns_of(poses: Sequence[Array]) -> list[Turn]:
    """Return how the board is turned in each view; `poses` are `camera_from_board` (4, 4)."""
    angles_rad = np.array([np.arctan2(pose[1, 0], pose[0, 0]) for pose in poses])
    turned_rad = np.angle(np.exp(1j * (angles_rad - angles_rad[:1])))
    return [
        Turn.NONE if abs(turn) < _TURNED_RAD else Turn.CLOCKWISE if turn > 0 else Turn.ANTICLOCKWISE
        for turn in turned_rad
    ]


def suffices(coverage: Coverage, poses: Sequence[Array], *, needs_turns: bool) -> bool:
    """Return whether there are enough views, at enough tilts, all over the image or with turns.

    Args:
        coverage: Of the views.
        poses: Their `camera_from_board`, each of shape (4, 4).
        needs_turns: Whether the views are for a camera's pose on an arm, not for its projection.
    """
    if needs_turns:
        varies = len(set(turns_of(poses))) >= _ENOUGH_TURNS
    else:
        varies = coverage.fraction >= ENOUGH_COVERAGE
    tilts = {tilt_of(pose) for pose in poses}
    return len(poses) >= ENOUGH_VIEWS and len(tilts) >= _ENOUGH_TILTS and varies


def next_view(coverage: Coverage, poses: Sequence[Array], *, needs_turns: bool) -> NextView:
    """Return the view that would help most: in the emptiest region, at the rarest tilt and turn.

    Args:
        coverage: Of the views so far.
        poses: Their `camera_from_board`, each of shape (4, 4).
        needs_turns: Whether the views are for a camera's pose on an arm. Turns of the board in the
            image halve its error, but tell nothing about the camera's projection.
    """
    width, height = coverage.size_px
    # Regions of half the image: a board's middle can't be at the image's edge.
    rows, columns = _ROWS // 2, _COLUMNS // 2
    sums = np.array(
        [
            [
                coverage.counts[row : row + rows, column : column + columns].sum()
                for column in range(columns + 1)
            ]
            for row in range(rows + 1)
        ]
    )
    row, column = np.unravel_index(int(np.argmin(sums)), sums.shape)
    place_px = (
        round((int(column) + columns / 2) * width / _COLUMNS),
        round((int(row) + rows / 2) * height / _ROWS),
    )
    tilts = [tilt_of(pose) for pose in poses]
    turns = turns_of(poses)
    turn = min(Turn, key=turns.count) if needs_turns else None
    return NextView(place_px, min(Tilt, key=tilts.count), turn)
