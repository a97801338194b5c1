"""The faults that have nothing to do with the arm, and thus have the same effect on each."""

import time

from .stops import (
    RESUME_JUMP_M,
    assert_resumes_only_when_enabled,
    assert_says,
    assert_stops_and_stays,
    mark_of,
    start_policy,
)


def assert_stands_still(station) -> None:
    rest = mark_of(station)
    time.sleep(0.5)
    assert station.trace.since(rest).largest_excursion() < RESUME_JUMP_M


class FaultsOfEveryArm:
    """Tests of a workstation that a subclass has as its fixture `station`."""

    def test_control_node_killed(self, station):
        station.teleoperate()
        mark = mark_of(station)
        station.control.kill()
        station.control.wait()
        assert_stops_and_stays(station, mark, station.rig.servo.heartbeat_timeout_s)
        time.sleep(2.0)  # its servo process gives up and leaves the robot to the next one
        station.start_control()
        assert_stands_still(station)
        assert_resumes_only_when_enabled(station)

    def test_teleop_unplugged(self, station):
        station.teleoperate()
        mark = mark_of(station)
        station.hands.plugged = False
        assert_stops_and_stays(station, mark, station.rig.limits.twist_timeout_s)
        assert_says(station, "no dead-man heartbeat")
        station.hands.plugged = True
        assert_stands_still(station)
        assert_resumes_only_when_enabled(station)

    def test_deadman_released(self, station):
        station.teleoperate()
        mark = mark_of(station)
        station.hands.deadman = False
        assert_stops_and_stays(station, mark, 0.05)
        station.hands.deadman = True
        station.push()

    def test_camera_frozen_under_a_policy(self, station):
        start_policy(station)
        mark = mark_of(station)
        station.hands.cameras_alive = False
        assert_stops_and_stays(station, mark, station.rig.limits.camera_timeout_s)
        assert_says(station, "newest image of", "old")
        station.hands.cameras_alive = True
        assert_stands_still(station)

    def test_nobody_who_could_take_over_a_policy(self, station):
        start_policy(station)
        mark = mark_of(station)
        station.hands.plugged = False
        assert_stops_and_stays(station, mark, 0.5)
        assert_says(station, "nobody could take over", "teleop_node")
        station.hands.plugged = True
        assert_stands_still(station)
