"""Tests for guide.py: a view is taken by itself when all is still and it is a new one."""

import numpy as np
import pytest

from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import BoardView
from carp_ros.calibration.guide import Moment, ViewGuide, Wait, coverage_map
from carp_ros.calibration.projection import project
from carp_ros.calibration.transforms import rotation_from_rotvec
from carp_ros.types import Intrinsics, Pose

BOARD = Board(6, 5, 0.04, 0.032)
CAMERA = Intrinsics(320, 240, np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1.0]]), "cam")
FLANGE = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
STEP_NS = 33_000_000
IMAGE = np.zeros((240, 320, 3), np.uint8)
TILTS = ((0.0, 0.0), (0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.0, -0.5))


def board_at(tilt, place, distance_m=0.45):
    """Return `camera_from_board` with the board's middle at a place, in shares of the distance."""
    turn = rotation_from_rotvec(np.array([*tilt, 0.0]))
    middle = np.array([BOARD.width_m / 2, BOARD.height_m / 2, 0.0])
    pose = np.eye(4)
    pose[:3, :3] = turn
    pose[:3, 3] = distance_m * np.array([*place, 1.0]) - turn @ middle
    return pose


class FakeDetector:
    """Sees the board where it is put, and counts what it was asked for."""

    board = BOARD

    def __init__(self):
        self.pose = board_at((0.0, 0.0), (0.0, 0.0))
        self.share = 1.0

    def detect(self, name, image):
        if self.pose is None:
            return None
        corners = BOARD.corners_m @ self.pose[:3, :3].T + self.pose[:3, 3]
        places = project(corners, CAMERA)[0]
        count = round(self.share * len(places))
        return BoardView(name, np.arange(count), places[:count])


class Show:
    """Shows moments to a guide, one every 33 ms."""

    def __init__(self, *, needs_arm=True, taken=()):
        self.detector = FakeDetector()
        self.guide = ViewGuide(self.detector, CAMERA, needs_arm=needs_arm, taken=taken)
        self.now_ns = 0

    def once(self, speed_rad_s=0.0, flange=FLANGE):
        self.now_ns += STEP_NS
        moment = Moment(self.now_ns, IMAGE, flange, speed_rad_s)
        return self.guide.look(f"view_{len(self.guide.views):02d}.png", moment)

    def for_s(self, seconds):
        advice = [self.once() for _ in range(round(seconds / 0.033))]
        return [a.taken.name for a in advice if a.taken is not None], advice[-1]

    def put(self, tilt, place=(0.0, 0.0)):
        self.detector.pose = board_at(tilt, place)


def test_a_view_is_taken_once_when_arm_and_board_have_been_still():
    show = Show()
    early, _ = show.for_s(0.35)
    taken, last = show.for_s(1.0)
    assert early == []
    assert taken == ["view_00.png"]
    assert last.wait is Wait.KNOWN
    assert last.next


def test_nothing_is_taken_while_the_arm_moves_however_little():
    show = Show()
    assert all(show.once(speed_rad_s=0.006).wait is Wait.MOVING for _ in range(40))


def test_an_arm_whose_speed_is_not_known_does_not_count_as_still_where_its_pose_matters():
    show = Show()
    assert all(show.once(speed_rad_s=float("nan")).wait is Wait.MOVING for _ in range(40))
    alone = Show(needs_arm=False)
    assert any(alone.once(speed_rad_s=float("nan")).taken for _ in range(40))


def test_a_clock_that_is_set_back_delays_the_next_view_no_longer_than_the_arm_must_be_still():
    show = Show()
    show.for_s(0.2)
    show.now_ns -= 3600 * 10**9
    taken, _ = show.for_s(0.6)
    assert taken == ["view_00.png"]


def test_nothing_is_taken_while_the_board_moves_in_the_image():
    show = Show()
    waits = []
    for number in range(40):
        show.put((0.0, 0.0), (0.002 * number, 0.0))  # 0.6 px an image
        waits.append(show.once().wait)
    assert set(waits) == {Wait.MOVING}


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_nothing_is_taken_without_enough_of_the_board(share):
    show = Show()
    show.detector.share = share
    if not share:
        show.detector.pose = None
    taken, last = show.for_s(1.0)
    assert (taken, last.wait) == ([], Wait.NO_BOARD)


def test_nothing_is_taken_without_the_arm_unless_none_is_needed():
    show = Show()
    assert show.once(flange=None).wait is Wait.NO_ARM
    alone = Show(needs_arm=False)
    assert any(alone.once(flange=None).taken for _ in range(30))


def test_fifteen_views_at_all_tilts_and_places_suffice_and_fewer_do_not():
    show = Show(needs_arm=False)
    places = ((-0.25, -0.15), (0.25, -0.15), (0.0, 0.15))
    done = []
    for place in places:
        for tilt in TILTS:
            show.put(tilt, place)
            taken, last = show.for_s(0.7)
            assert len(taken) == 1
            done.append(last.done)
    assert done == [False] * 14 + [True]


def test_views_without_tilts_never_suffice():
    show = Show()
    for x in np.linspace(-0.3, 0.3, 5):
        for y in np.linspace(-0.2, 0.2, 4):
            show.put((0.0, 0.0), (x, y))
            show.for_s(0.7)
    assert len(show.guide.views) >= 15
    assert not show.guide.done


@pytest.mark.parametrize("turn_rad", [0.0, 0.9])
def test_views_for_a_cameras_pose_suffice_only_if_the_board_was_turned(turn_rad):
    show = Show()
    for number, tilt in enumerate(3 * TILTS):
        show.put(tilt, (0.1 * (number // 5) - 0.1, 0.0))
        turned = rotation_from_rotvec(np.array([0.0, 0.0, turn_rad * (number % 2)]))
        show.detector.pose[:3, :3] = show.detector.pose[:3, :3] @ turned
        show.for_s(0.7)
    assert len(show.guide.views) == 15
    assert show.guide.done == (turn_rad > 0.0)
    assert "against the first view" in show.guide.next or "as in the first view" in show.guide.next


def test_views_of_an_earlier_attempt_count():
    before = Show()
    before.for_s(0.7)
    again = Show(taken=before.guide.views)
    taken, last = again.for_s(0.7)
    assert (taken, last.wait) == ([], Wait.KNOWN)
    assert len(again.guide.views) == 1


def test_the_map_shows_where_corners_were_seen():
    show = Show()
    assert set(coverage_map(show.guide.coverage)) == {".", "\n"}
    show.for_s(0.7)
    lines = coverage_map(show.guide.coverage).split("\n")
    assert (len(lines), {len(line) for line in lines}) == (6, {8})
    assert "#" in lines[3]
    assert lines[0] == "........"
