import re

import cv2
import numpy as np
import pytest

from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import BoardDetector, BoardView
from carp_ros.calibration.coverage import coverage_of
from carp_ros.calibration.pictures import PAGES_M, write_board, write_fit_picture

PX_PER_M = 300 / 0.0254


@pytest.mark.parametrize(
    "board", [Board(), Board(7, 5, 0.035, 0.02, "5x5_100"), Board(9, 3), Board(3, 6)]
)
def test_a_drawn_board_has_its_true_size_and_is_found_whole(board, tmp_path):
    path = tmp_path / "board.png"
    write_board(path, board, "A4")

    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    view = BoardDetector(board).detect("printed", image)

    assert view is not None
    assert len(view.ids) == len(board.corners_m)
    width_m, height_m = PAGES_M["A4"]
    corner_m = np.array([width_m - board.width_m, height_m - board.height_m]) / 2
    expected = (board.corners_m[view.ids, :2] + corner_m) * PX_PER_M - 0.5
    assert view.corners_px == pytest.approx(expected, abs=1.0)  # 0.08 mm
    assert image.shape == pytest.approx((height_m * PX_PER_M, width_m * PX_PER_M), abs=1)


def test_a_pdf_has_the_size_of_the_page(tmp_path):
    path = tmp_path / "board.pdf"
    write_board(path, Board(), "A4")
    box = re.search(rb"/MediaBox \[ *0 0 ([\d.]+) ([\d.]+)", path.read_bytes())
    assert box is not None
    points = [float(number) for number in box.groups()]
    assert points == pytest.approx([0.297 / 0.0254 * 72, 0.210 / 0.0254 * 72], abs=0.01)


@pytest.mark.parametrize(
    ("name", "board", "words"),
    [
        ("a.pdf", Board(square_m=0.05, marker_m=0.03), "450 x 300 mm does not fit on A4"),
        ("a.svg", Board(), "ends in .svg; expected .pdf or .png"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_leaves_no_file(name, board, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        write_board(tmp_path / name, board, "A4")
    assert list(tmp_path.iterdir()) == []


def test_a_fit_is_drawn_also_with_a_single_view(tmp_path):
    view = BoardView("a.png", np.arange(8), np.arange(16.0).reshape(8, 2) * 20)
    path = tmp_path / "fit.png"

    write_fit_picture(
        path, [view], {"a.png": 0.1 * np.ones((8, 2))}, (), coverage_of([view], (640, 480))
    )

    assert cv2.imread(str(path)).std() > 5
