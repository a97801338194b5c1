"""Each fault of an FR3: the arm stops within its limits, stays, says why, and must be enabled."""

import os
import signal
import time

import pytest

from carp_ros.reports.control import Fault

from ..patience import await_true
from .every_arm import FaultsOfEveryArm
from .stops import (
    assert_resumes_only_when_enabled,
    assert_says,
    assert_stops_and_stays,
    mark_of,
)

pytest.importorskip("franky", reason="an FR3 needs franky-control: pip install 'carp_ros[fr3]'")

pytestmark = pytest.mark.realtime


def test_reflex(fr3_workstation):
    fr3_workstation.teleoperate()
    mark = mark_of(fr3_workstation)
    fr3_workstation.faults.protective_stop()
    assert_stops_and_stays(fr3_workstation, mark, 0.1)
    assert_says(fr3_workstation, "SAFETY_STOP", "PROTECTIVE_STOP", "cartesian_reflex")
    assert_resumes_only_when_enabled(fr3_workstation)


def test_user_stop(fr3_workstation):
    fr3_workstation.teleoperate()
    mark = mark_of(fr3_workstation)
    fr3_workstation.faults.emergency_stop()
    assert_stops_and_stays(fr3_workstation, mark, 0.1)
    assert_says(fr3_workstation, "SAFETY_STOP", "SAFEGUARD_STOP")
    answer = fr3_workstation.trigger("reset_fault")  # which says what came of it
    assert not answer.success
    assert "release" in answer.message
    fr3_workstation.faults.release_emergency_stop()
    assert_resumes_only_when_enabled(fr3_workstation)


def test_lost_commands(fr3_workstation):
    fr3_workstation.teleoperate()
    mark = mark_of(fr3_workstation)
    fr3_workstation.faults.lose_commands(0.5)
    assert_stops_and_stays(fr3_workstation, mark, 0.2)
    assert_says(fr3_workstation, "communication_constraints_violation")
    assert_resumes_only_when_enabled(fr3_workstation)


def test_robot_silence(fr3_workstation):
    fr3_workstation.teleoperate()
    mark = mark_of(fr3_workstation)
    fr3_workstation.faults.silence(0.4)
    assert_stops_and_stays(fr3_workstation, mark, 0.2)
    assert_resumes_only_when_enabled(fr3_workstation)


def test_lost_link(fr3_workstation):
    fr3_workstation.teleoperate()
    mark = mark_of(fr3_workstation)
    fr3_workstation.faults.drop_link()
    assert_stops_and_stays(fr3_workstation, mark, 0.15)
    # libfranka notices the closed connection, or waits a second for a state
    assert_says(fr3_workstation, "SERVO_LOST", "servo process ended")
    fr3_workstation.await_servo()
    assert_resumes_only_when_enabled(fr3_workstation)


def test_servo_process_killed(fr3_workstation):
    fr3_workstation.teleoperate()
    mark = mark_of(fr3_workstation)
    os.kill(fr3_workstation.servo_pid(), signal.SIGKILL)
    assert_stops_and_stays(fr3_workstation, mark, 0.2)
    assert_says(fr3_workstation, "SIGKILL")
    fr3_workstation.await_servo()
    assert_resumes_only_when_enabled(fr3_workstation)


def test_an_arm_that_is_held_and_let_go(fr3_workstation):
    fr3_workstation.teleoperate()
    fr3_workstation.faults.block_arm()
    await_true(lambda: fr3_workstation.hands.status.fault is not Fault.NONE, 3.0, "a fault")
    time.sleep(1.0)  # the commanded pose comes back to the arm
    mark = mark_of(fr3_workstation)
    fr3_workstation.faults.release_arm()
    time.sleep(0.5)
    assert fr3_workstation.trace.since(mark).largest_excursion() < 5e-3  # it does not leap
    assert_resumes_only_when_enabled(fr3_workstation)


class TestWhatEveryArmDoes(FaultsOfEveryArm):
    @pytest.fixture
    def station(self, fr3_workstation):
        return fr3_workstation
