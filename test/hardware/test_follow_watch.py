import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.hardware.follow_watch import FollowWatch

TOLERANCE_RAD = 0.03
RATE_HZ = 500.0
WITHIN_S = 0.2


def make_watch() -> FollowWatch:
    return FollowWatch.of_rate(np.zeros(2), RATE_HZ, WITHIN_S, TOLERANCE_RAD)


@given(
    lag=st.integers(0, round(RATE_HZ * WITHIN_S) - 1),
    speed_rad_s=st.floats(-2.0, 2.0),
    offset_rad=st.floats(-0.99 * TOLERANCE_RAD, 0.99 * TOLERANCE_RAD),
)
def test_an_arm_that_lags_within_the_time_allowed_follows(lag, speed_rad_s, offset_rad):
    watch = make_watch()
    for tick in range(300):
        watch.sent(np.array([speed_rad_s * tick / RATE_HZ, 0.0]))
        measured = np.array([speed_rad_s * max(0, tick - lag) / RATE_HZ + offset_rad, 0.0])
        assert not watch.off_rad(measured).any()


@given(speed_rad_s=st.floats(0.05, 2.0), joint=st.integers(0, 1), sign=st.sampled_from((1, -1)))
def test_an_arm_that_stands_still_does_not_follow_and_its_joint_is_named(speed_rad_s, joint, sign):
    watch, target = make_watch(), np.zeros(2)
    longest_s = WITHIN_S + TOLERANCE_RAD / speed_rad_s
    ticks = 0
    while not watch.off_rad(np.zeros(2)).any():
        target[joint] += sign * speed_rad_s / RATE_HZ
        watch.sent(target)
        ticks += 1
        assert ticks / RATE_HZ < longest_s + 0.01
    assert int(np.argmax(watch.off_rad(np.zeros(2)))) == joint
    assert ticks / RATE_HZ > TOLERANCE_RAD / speed_rad_s  # never before it is off the tolerance


def test_an_arm_that_another_program_moves_away_does_not_follow():
    watch = make_watch()
    for _ in range(200):
        watch.sent(np.zeros(2))
    assert watch.off_rad(np.array([0.0, 0.04])) == pytest.approx([0.0, 0.01])
