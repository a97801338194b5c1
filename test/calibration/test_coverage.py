import numpy as np
import pytest

from carp_ros.calibration.board import BoardView
from carp_ros.calibration.coverage import Tilt, Turn, coverage_of, next_view, tilt_of, turns_of
from carp_ros.calibration.transforms import transform

SIZE_PX = (640, 480)


def seen_at(*corners_px) -> BoardView:
    return BoardView("", np.arange(len(corners_px)), np.array(corners_px, dtype=float))


def tilted(x: float, y: float) -> np.ndarray:
    return transform(np.array([0.0, 0.0, 0.4]), np.array([x, y, 0.0]))


def test_the_fraction_covered_is_that_of_the_cells_with_a_corner():
    assert coverage_of([], SIZE_PX).fraction == 0.0
    assert coverage_of([seen_at((1, 1), (2, 2))], SIZE_PX).fraction == pytest.approx(1 / 48)
    everywhere = [seen_at((x, y)) for x in range(20, 640, 40) for y in range(20, 480, 40)]
    assert coverage_of(everywhere, SIZE_PX).fraction == 1.0


@pytest.mark.parametrize(
    ("pose", "tilt", "near_edge"),
    [
        (tilted(0.5, 0.0), Tilt.BOTTOM_AWAY, (0.0, -0.1)),
        (tilted(-0.5, 0.0), Tilt.TOP_AWAY, (0.0, 0.1)),
        (tilted(0.0, 0.5), Tilt.LEFT_AWAY, (0.1, 0.0)),
        (tilted(0.0, -0.5), Tilt.RIGHT_AWAY, (-0.1, 0.0)),
        (tilted(0.05, 0.05), Tilt.NONE, None),
    ],
)
def test_a_tilt_is_named_after_the_edge_that_is_farther_away(pose, tilt, near_edge):
    assert tilt_of(pose) is tilt
    if near_edge is not None:
        near_m, far_m = (
            (pose @ [sign * near_edge[0], sign * near_edge[1], 0.0, 1.0])[2] for sign in (1, -1)
        )
        assert near_m < far_m


def test_the_next_view_is_where_least_was_seen_and_at_the_rarest_tilt():
    right = [seen_at((x, y)) for x in range(330, 640, 40) for y in range(20, 480, 40)]
    poses = [tilted(0.0, 0.0), tilted(0.5, 0.0), tilted(0.0, 0.5), tilted(0.0, -0.5)]

    wanted = next_view(coverage_of(right, SIZE_PX), poses, needs_turns=False)

    assert wanted.place_px[0] <= 200
    assert wanted.tilt is Tilt.TOP_AWAY
    assert "upper edge" in wanted.words
    assert wanted.turn is None
    assert "turned" not in wanted.words


def turned(*angles_rad: float) -> list[np.ndarray]:
    return [transform(np.zeros(3), np.array([0.0, 0.0, angle])) for angle in angles_rad]


@pytest.mark.parametrize("first_rad", [0.0, 3.0, -1.7])
def test_a_turn_is_told_against_the_first_view_however_the_board_hangs(first_rad):
    poses = turned(*(first_rad + np.array([0.0, 1.0, -1.0, 0.3])))
    assert turns_of(poses) == [Turn.NONE, Turn.CLOCKWISE, Turn.ANTICLOCKWISE, Turn.NONE]


def test_the_rarest_turn_is_asked_for_where_turns_matter():
    wanted = next_view(coverage_of([], SIZE_PX), turned(0.0, 1.0), needs_turns=True)
    assert wanted.turn is Turn.ANTICLOCKWISE
    assert "turned anticlockwise by 60 deg" in wanted.words
    assert next_view(coverage_of([], SIZE_PX), [], needs_turns=True).turn is Turn.NONE
