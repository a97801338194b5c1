import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.robots import UR5E
from carp_ros.sim.servoj import ServoJ

PERIOD_S = 0.002


def run(targets, gain=2000.0, lookahead_s=0.03):
    servo = ServoJ(UR5E, np.zeros(6), PERIOD_S)
    return np.array([servo.step(target, gain, lookahead_s) for target in targets])


@pytest.mark.parametrize("lookahead_s", [0.03, 0.1])
def test_the_set_point_trails_a_steady_motion_by_the_lookahead(lookahead_s):
    speed = 0.3
    times = np.arange(500) * PERIOD_S
    path = run([np.full(6, speed * t) for t in times], lookahead_s=lookahead_s)
    trail_s = (speed * times[-1] - path[-1]) / speed
    np.testing.assert_allclose(trail_s, lookahead_s, atol=1.5 * PERIOD_S)


def test_a_low_gain_trails_longer():
    targets = [np.full(6, 0.3 * tick * PERIOD_S) for tick in range(500)]
    assert (run(targets, gain=100.0)[-1] < run(targets, gain=2000.0)[-1] - 0.01).all()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-2.0, 2.0), min_size=1, max_size=5),
    st.floats(100.0, 2000.0),
    st.floats(0.03, 0.2),
)
def test_no_targets_make_it_exceed_the_robots_limits(jumps, gain, lookahead_s):
    path = run([np.full(6, jump) for jump in jumps for _ in range(100)], gain, lookahead_s)
    velocity = np.diff(np.vstack([np.zeros(6), path]), axis=0) / PERIOD_S
    acceleration = np.diff(np.vstack([np.zeros(6), velocity]), axis=0) / PERIOD_S
    assert (np.abs(velocity) <= np.array(UR5E.max_speed_rad_s) + 1e-6).all()
    assert (np.abs(acceleration) <= np.array(UR5E.max_acceleration_rad_s2) + 1e-6).all()


def test_a_far_target_is_reached_without_overshoot():
    path = run([np.full(6, 1.0)] * 1500)
    assert path.max() < 1.0 + 1e-4
    np.testing.assert_allclose(path[-1], 1.0, atol=1e-4)


def test_it_holds_where_it_is_told_to():
    servo = ServoJ(UR5E, np.zeros(6), PERIOD_S)
    servo.step(np.ones(6), 2000.0, 0.03)
    servo.hold(np.full(6, 0.5))
    np.testing.assert_array_equal(servo.step(np.full(6, 0.5), 2000.0, 0.03), np.full(6, 0.5))
