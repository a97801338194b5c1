import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import BoardDetector
from carp_ros.strict import read_strictly

SIZE_PX = (902, 602)  # where whole squares fit exactly, OpenCV fails to draw boards of three rows


def drawn(board: Board) -> np.ndarray:
    return board.opencv_board.generateImage(SIZE_PX)


@given(columns=st.integers(4, 9), rows=st.integers(3, 6))
@settings(max_examples=5, deadline=None)
def test_every_corner_of_a_drawn_board_is_found_at_its_place(columns, rows):
    board = Board(columns, rows)
    view = BoardDetector(board).detect("drawn", drawn(board))

    assert view is not None
    assert len(view.ids) == (columns - 1) * (rows - 1)
    # OpenCV fits the board into the image and centres it; pixel centres are integers
    scale = min(SIZE_PX[0] / board.width_m, SIZE_PX[1] / board.height_m)
    margin = (np.array(SIZE_PX) - scale * np.array([board.width_m, board.height_m])) / 2
    expected = board.corners_m[view.ids, :2] * scale + margin - 0.5
    assert view.corners_px == pytest.approx(expected, abs=1.3)  # OpenCV rounds squares


def test_the_corners_are_numbered_and_placed_as_by_opencv():
    board = Board(7, 5, 0.04, 0.03)
    assert board.corners_m == pytest.approx(
        np.asarray(board.opencv_board.getChessboardCorners()), abs=1e-6
    )


def test_a_board_that_is_half_hidden_is_used_and_one_that_is_nearly_hidden_is_not():
    board = Board()
    half, corner = drawn(board), drawn(board)
    half[:, 450:] = 255
    corner[150:] = 255
    detector = BoardDetector(board)

    view = detector.detect("half", half)
    assert view is not None
    assert 10 <= len(view.ids) < 40
    assert detector.detect("corner", corner) is None  # one row of corners: no pose follows
    assert detector.detect("nothing", np.full((480, 640), 200, np.uint8)) is None


def test_colour_images_are_read_as_grey_ones():
    board = Board()
    grey = drawn(board)
    views = [
        BoardDetector(board).detect("", image)
        for image in (grey, cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB))
    ]
    assert views[0] is not None
    assert views[1] is not None
    assert views[0].corners_px == pytest.approx(views[1].corners_px)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"marker_m": 0.029}, "marker_m is 0.029; expected 0.4 to 0.9 of square_m"),
        ({"columns": 12, "rows": 9}, "dictionary is 4x4_50, but 12 x 9 squares need 54 markers"),
        ({"square_m": 30}, "square_m is 30; expected 0.004 to 0.5"),
        ({"dictionary": "7x7"}, "expected one of 4x4_50"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(content, words):
    with pytest.raises(ValueError, match=words):
        read_strictly(Board, content, "board.yaml")
