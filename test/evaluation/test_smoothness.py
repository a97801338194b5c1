import numpy as np
import pytest

from carp_ros.evaluation.smoothness import PERIOD_NS, ToolPath

START_NS = 3_000_000_000
DT_S = PERIOD_NS * 1e-9


def path_of(position, seconds=2.0):
    """Return the path of a tool whose x is a function of time, looked at every 2 ms."""
    path = ToolPath()
    for tick in range(round(seconds / 0.002)):
        if path.is_due(START_NS + tick * 2_000_000):
            path.take(np.array([position(tick * 0.002), 0.0, 0.0]))
    return path


def test_positions_are_taken_at_their_period():
    path = path_of(lambda t: t)
    np.testing.assert_allclose(path.positions[:, 0], np.arange(100) * DT_S, atol=1e-9)


def test_a_cubic_has_the_jerk_that_it_has():
    assert path_of(lambda t: 0.5 * t**3).jerk_m_s3() == pytest.approx(3.0, rel=1e-6)


def test_constant_acceleration_has_no_jerk():
    assert path_of(lambda t: 0.5 * t**2).jerk_m_s3() == pytest.approx(0.0, abs=1e-6)


def test_no_path_has_no_jerk():
    assert ToolPath().jerk_m_s3() == 0.0
    assert ToolPath().velocity_jumps_m_s([5]).tolist() == []


def test_a_kink_is_the_change_of_velocity_there_and_none_elsewhere():
    path = path_of(lambda t: 0.1 * t if t < 1.0 else 0.1 - 0.05 * (t - 1.0))
    moments = [START_NS + round(s * 1e9) for s in (0.5, 1.0, 1.5)]
    np.testing.assert_allclose(path.velocity_jumps_m_s(moments), [0.0, 0.15, 0.0], atol=1e-9)


def test_moments_at_the_ends_have_no_velocity_before_or_after():
    path = path_of(lambda t: t)
    assert path.velocity_jumps_m_s([START_NS, START_NS + 2_000_000_000]).tolist() == []
