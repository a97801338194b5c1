"""Tests for policies/commitment.py."""

import numpy as np
import pytest

from carp_ros.policies.commitment import Commitment

STEP_NS = 100_000_000
PLAN = np.column_stack([np.arange(8.0) / 100, np.zeros((8, 8)), np.arange(8) >= 4])


def at(place):
    return np.array([place / 100, *[0.0] * 9])


def commitment(wanted=3):
    one = Commitment(0.1, 4, 10, wanted)
    one.offer(PLAN, 5 * STEP_NS)
    one.followed(5 * STEP_NS, 0)
    return one


def steps_at(one, place, stamp_ns=None):
    stamp_ns = round((5 + place) * STEP_NS) if stamp_ns is None else stamp_ns
    inputs = one.inputs(stamp_ns, at(place))
    assert inputs["committed"].shape == (1, 4, 10)
    return inputs["committed"][0], int(inputs["committed_count"][0])


def test_without_a_plan_nothing_is_committed():
    steps, count = steps_at(Commitment(0.1, 4, 10), 3, 0)
    assert count == 0
    assert (steps == at(3).astype(np.float32)).all()


def test_a_policy_that_can_not_be_told_is_given_no_inputs():
    one = Commitment(0.1, 0, 10)
    one.offer(PLAN, 0)
    one.followed(0, 0)
    assert one.inputs(STEP_NS, at(1)) == one.no_inputs(at(1)) == {}


@pytest.mark.parametrize("place", [0.0, 1.0, 2.5])
def test_the_steps_are_those_of_the_plan_at_their_times(place):
    steps, count = steps_at(commitment(), place)
    assert count == 3
    np.testing.assert_allclose(steps[:3, 0], (place + np.arange(3)) / 100, atol=1e-6)


def test_the_gripper_changes_when_the_plan_says():
    steps, _ = steps_at(commitment(4), 2.5)
    assert steps[:, -1].tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(("place", "count"), [(4.0, 3), (5.0, 2), (6.0, 1), (7.0, 0), (50.0, 0)])
def test_a_plan_ends(place, count):
    assert steps_at(commitment(), place)[1] == count


def test_a_clock_that_was_set_back_forgets_the_plan():
    assert steps_at(commitment(), 0, 0)[1] == 0


def test_an_arm_that_something_else_moved_is_not_committed():
    assert steps_at(commitment(), 8.0, 7 * STEP_NS)[1] == 0


def test_what_is_forgotten_is_not_committed():
    one = commitment()
    one.forget()
    assert steps_at(one, 2.0)[1] == 0


def test_a_plan_that_was_refused_is_none_that_the_arm_goes_on_with():
    one = commitment()
    one.offer(PLAN + 1.0, 6 * STEP_NS)
    steps, count = steps_at(one, 2.0)
    assert (count, steps[0, 0]) == (3, pytest.approx(0.02))
    one.followed(4 * STEP_NS, 0)  # of some other policy
    steps, count = steps_at(one, 2.0)
    assert (count, steps[0, 0]) == (3, pytest.approx(0.02))


def test_a_plan_that_is_only_offered_is_not_committed():
    one = Commitment(0.1, 4, 10)
    one.offer(PLAN, 5 * STEP_NS)
    assert steps_at(one, 2.0)[1] == 0


@pytest.mark.parametrize("late_ns", [0, 70_000_000, 3 * STEP_NS])
def test_a_plan_that_began_late_is_late_to_its_end(late_ns):
    one = Commitment(0.1, 4, 10, 3)
    one.offer(PLAN, 5 * STEP_NS)
    one.followed(5 * STEP_NS, late_ns)
    steps, count = steps_at(one, 2.0, 7 * STEP_NS + late_ns)
    assert count == 3
    np.testing.assert_allclose(steps[:3, 0], [0.02, 0.03, 0.04], atol=1e-6)


@pytest.mark.parametrize("late_ns", [-(2**62), -STEP_NS, 2**62, 10**30])
def test_a_plan_of_a_time_that_can_not_be_is_not_committed(late_ns):
    one = Commitment(0.1, 4, 10, 3)
    one.offer(PLAN, 5 * STEP_NS)
    one.followed(5 * STEP_NS, late_ns)
    assert steps_at(one, 8.0, 13 * STEP_NS)[1] == 0


@pytest.mark.parametrize("wanted", [5, -1, 2.5])
def test_more_than_the_policy_can_be_told_is_refused(wanted):
    with pytest.raises(ValueError, match=r"committed_steps is .* expected 0 to 4"):
        Commitment(0.1, 4, 10, wanted)
