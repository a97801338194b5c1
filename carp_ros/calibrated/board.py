"""The ChArUco board as data: a chessboard with ArUco markers.

Each marker has a number, so a board that is only partly visible is usable, and its orientation is
unambiguous. The board's frame has its origin at the outer corner of the top-left square, x to the
right along the columns, y down along the rows, and z into the board.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from carp_ros.strict import Between
from carp_ros.types import Array

if TYPE_CHECKING:
    import cv2

_MARKERS = {"4x4_50": 50, "4x4_100": 100, "5x5_100": 100, "5x5_250": 250, "6x6_250": 250}


@dataclass(frozen=True)
class Board:
    """Layout of a board as it was measured on paper.

    Attributes:
        columns, rows: Number of squares.
        square_m: Side of a square; measure it on the print, as printers scale.
        marker_m: Side of a marker, including its black border.
        dictionary: ArUco dictionary of the markers: bits per side, and number of markers.
    """

    columns: Annotated[int, Between(3, 40)] = 9
    rows: Annotated[int, Between(3, 40)] = 6
    square_m: Annotated[float, Between(0.004, 0.5)] = 0.030
    marker_m: Annotated[float, Between(0.002, 0.5)] = 0.023
    dictionary: Literal["4x4_50", "4x4_100", "5x5_100", "5x5_250", "6x6_250"] = "4x4_50"

    def contradictions(self) -> Iterator[str]:
        """Yield what these numbers may not be together."""
        if not 0.4 * self.square_m <= self.marker_m <= 0.9 * self.square_m:
            yield (
                f"marker_m is {self.marker_m:g}; expected 0.4 to 0.9 of square_m, {self.square_m:g}"
            )
        markers = self.columns * self.rows // 2
        if markers > _MARKERS[self.dictionary]:
            yield (
                f"dictionary is {self.dictionary}, but {self.columns} x {self.rows} squares need"
                f" {markers} markers; expected a larger dictionary"
            )

    @property
    def width_m(self) -> float:
        """Width of the pattern, without margins."""
        return self.columns * self.square_m

    @property
    def height_m(self) -> float:
        """Height of the pattern, without margins."""
        return self.rows * self.square_m

    @property
    def corners_m(self) -> Array:
        """Inner chessboard corners in the board's frame, of shape (N, 3), by corner number."""
        rows, columns = np.mgrid[1 : self.rows, 1 : self.columns]
        flat = np.stack([columns.ravel(), rows.ravel(), np.zeros(rows.size)], axis=1)
        return flat * self.square_m

    @property
    def opencv_board(self) -> cv2.aruco.CharucoBoard:
        """The same board as an OpenCV object."""
        import cv2  # the servo process reads results, too, and must not load it

        dictionary = cv2.aruco.getPredefinedDictionary(
            getattr(cv2.aruco, f"DICT_{self.dictionary.upper()}")
        )
        size = (self.columns, self.rows)
        return cv2.aruco.CharucoBoard(size, self.square_m, self.marker_m, dictionary)
