"""Finds a board in images."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from carp_ros.calibrated.board import Board
from carp_ros.types import Array

Image = npt.NDArray[np.uint8]

LEAST_CORNERS = 6
"""Fewer corners than this do not determine a board's pose reliably."""


@dataclass(frozen=True)
class BoardView:
    """A board seen in one image.

    Attributes:
        name: Name of the image, as a person knows it.
        ids: Numbers of the corners found, of shape (N,).
        corners_px: Their places in the image, of shape (N, 2); pixel centres are integers.
    """

    name: str
    ids: npt.NDArray[np.int64]
    corners_px: Array


class BoardDetector:
    """Finds a board's corners in images."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._detector = cv2.aruco.CharucoDetector(board.opencv_board)

    def detect(self, name: str, image: Image) -> BoardView | None:
        """Return the corners found, or None if too few for a pose.

        Args:
            name: Name of the image.
            image: RGB of shape (H, W, 3) or grey of shape (H, W).
        """
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
        corners, ids, _, _ = self._detector.detectBoard(grey)
        if ids is None or len(ids) < LEAST_CORNERS:
            return None
        view = BoardView(
            name,
            np.asarray(ids, dtype=np.int64).ravel(),
            np.asarray(corners, dtype=np.float64).reshape(-1, 2),
        )
        flat = self.board.corners_m[view.ids, :2]
        spread = np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False)
        # corners of one row lie on a line, from which no pose follows
        return view if spread[1] >= 0.5 * self.board.square_m else None
