"""Tests for policies/commitment.py."""

import numpy as np
import pytest

from carp_ros.policies.commitment import Commitment

STEP_NS = 100_000_000
PLAN = np.column_stack([np.arange(8.0) / 100, np.zeros((8, 8)), np.arange(8) >= 4])


def at(place):
    return np.array([place / 100, *[0.0] * 9])


def commitment():
    one = Commitment(0.1, 4, 10)
    one.take(PLAN, 5 * STEP_NS)
    return one


def test_without_a_plan_nothing_is_committed():
    steps, count = Commitment(0.1, 4, 10).steps_from(0, at(3), 3)
    assert count == 0
    assert (steps == at(3).astype(np.float32)).all()


@pytest.mark.parametrize("place", [0.0, 1.0, 2.5])
def test_the_steps_are_those_of_the_plan_at_their_times(place):
    steps, count = commitment().steps_from(round((5 + place) * STEP_NS), at(place), 3)
    assert count == 3
    np.testing.assert_allclose(steps[:3, 0], (place + np.arange(3)) / 100, atol=1e-6)


def test_the_gripper_changes_when_the_plan_says():
    steps, _ = commitment().steps_from(round(7.5 * STEP_NS), at(2.5), 4)
    assert steps[:, -1].tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(("place", "count"), [(4.0, 3), (5.0, 2), (6.0, 1), (7.0, 0), (50.0, 0)])
def test_a_plan_ends(place, count):
    assert commitment().steps_from(round((5 + place) * STEP_NS), at(place), 4)[1] == count


def test_a_clock_that_was_set_back_forgets_the_plan():
    assert commitment().steps_from(0, at(0), 3)[1] == 0


def test_an_arm_that_something_else_moved_is_not_committed():
    assert commitment().steps_from(7 * STEP_NS, at(8.0), 3)[1] == 0


def test_what_is_forgotten_is_not_committed():
    one = commitment()
    one.forget()
    assert one.steps_from(7 * STEP_NS, at(2.0), 3)[1] == 0
