"""What becomes of a process that ended."""

import pytest

from carp_ros.processes.restarts import (
    EXIT_BROKEN,
    EXIT_REFUSED,
    PAUSES_S,
    STEADY_NS,
    Exit,
    Restarts,
)

SECOND_NS = 1_000_000_000


def test_who_the_arm_needs_ends_the_system():
    restarts = Restarts("control_node", essential=True)
    restarts.started(0)
    verdict = restarts.ended(-9, SECOND_NS)
    assert verdict.fatal
    assert verdict.pause_s is None
    assert verdict.text.startswith("control_node was ended by SIGKILL")


@pytest.mark.parametrize("returncode", [0, EXIT_BROKEN, -9, -15])
def test_others_are_started_again_after_growing_pauses_and_then_stay_down(returncode):
    restarts = Restarts("policy_node", essential=False)
    now_ns, pauses = 0, []
    for _ in range(3):
        restarts.started(now_ns)
        now_ns += SECOND_NS
        verdict = restarts.ended(returncode, now_ns)
        assert not verdict.fatal
        pauses.append(verdict.pause_s)
    assert pauses == [*PAUSES_S, None]
    assert pauses[0] < pauses[1]
    assert "number 3 in a row, and stays down" in verdict.text


def test_a_long_life_between_deaths_makes_them_none_in_a_row():
    restarts = Restarts("policy_node", essential=False)
    for number in range(10):
        restarts.started(number * 2 * STEADY_NS)
        assert restarts.ended(-9, number * 2 * STEADY_NS + STEADY_NS).pause_s == PAUSES_S[0]


def test_what_was_refused_is_not_tried_again():
    restarts = Restarts("policy_node", essential=False)
    restarts.started(0)
    assert restarts.ended(EXIT_REFUSED, SECOND_NS).fatal  # nothing was up yet
    restarts.started(0)
    later = restarts.ended(EXIT_REFUSED, SECOND_NS)
    assert not later.fatal
    assert later.pause_s is None


def test_an_end_says_how():
    assert str(Exit("node", 7)) == "node ended with exit code 7"
    assert str(Exit("node", 139)) == "node was ended by SIGSEGV"
