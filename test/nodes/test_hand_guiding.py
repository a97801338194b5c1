"""A person guides the arm by hand, through the control node and the real client library."""

import time

import pytest

from carp_ros.reports.control import Fault, Reason, Source

from ..patience import LATE_FAULTS, await_true

pytestmark = pytest.mark.realtime

JUMP_M = 1e-3


def guide(station, attempts: int = 4) -> None:
    """Free the arm and push it with a hand until it moves.

    Anew if the robot held the arm meanwhile, because this machine was too busy to be in time.
    """
    for left in reversed(range(attempts)):
        station.begin(lambda: station.trigger("select_hand"))
        assert station.hands.status.source is Source.HAND
        station.faults.push(0.0, 8.0, 0.0)
        try:
            await_motion(station)
        except AssertionError:
            station.faults.push(0.0, 0.0, 0.0)
            if not left or station.hands.status.fault not in LATE_FAULTS:
                raise
            station.reset_fault()
        else:
            return


def await_motion(station) -> None:
    await_true(lambda: station.trace.speed() > 0.02, 5.0, "a hand's motion")


def assert_stays_though_pushed(station) -> None:
    station.await_standstill(2.0)
    assert not station.faults.state()["guided"]
    rest = len(station.trace.samples)
    time.sleep(0.5)
    assert station.trace.since(rest).largest_excursion() < JUMP_M


def test_the_arm_is_free_while_the_button_is_held_and_stands_after_it(workstation):
    guide(workstation)
    workstation.hands.deadman = False
    assert_stays_though_pushed(workstation)
    assert workstation.hands.status.fault is Fault.NONE
    workstation.hands.deadman = True  # again, without another enable
    await_motion(workstation)
    workstation.hands.deadman = False
    workstation.faults.push(0.0, 0.0, 0.0)
    assert_stays_though_pushed(workstation)
    mark = len(workstation.trace.samples)
    workstation.teleoperate((0.0, -0.1, 0.0))  # on from where it stands
    assert workstation.trace.since(mark).speeds().max() < 0.15


def test_silence_of_the_button_holds_the_arm_until_an_enable(workstation):
    guide(workstation)
    workstation.hands.plugged = False
    assert_stays_though_pushed(workstation)
    assert workstation.hands.status.reason is Reason.DEADMAN_SILENT
    workstation.hands.plugged = True
    assert_stays_though_pushed(workstation)
    workstation.faults.push(0.0, 0.0, 0.0)


def test_a_protective_stop_holds_the_arm_and_a_reset_leaves_it_stiff(workstation):
    guide(workstation)
    workstation.faults.protective_stop()
    assert_stays_though_pushed(workstation)
    assert workstation.hands.status.fault is Fault.SAFETY_STOP
    time.sleep(0.6)  # the controller refuses to unlock earlier
    workstation.reset_fault()
    assert_stays_though_pushed(workstation)
    workstation.faults.push(0.0, 0.0, 0.0)
