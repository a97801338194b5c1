"""Tests for hardware/device_clock.py: a device's clock, seen only through late arrivals."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.hardware.device_clock import DeviceClock

PERIOD_NS = 33_333_333
START_NS = 10**13
SHORTEST_NS = 4_000_000


def errors_ns(seed, drift, images=900, epoch_ns=0, rebooted_at=None):
    """Return the error of each stamp, and the stamps, for a clock that drifts by this fraction."""
    rng = np.random.default_rng(seed)
    clock, errors, stamps = DeviceClock(), [], []
    for number in range(images):
        true_ns = START_NS + number * PERIOD_NS
        since_ns = number if rebooted_at is None or number < rebooted_at else number - rebooted_at
        device_ns = epoch_ns + round(since_ns * PERIOD_NS * (1.0 + drift))
        delay_ns = SHORTEST_NS + round(rng.exponential(3e6))
        stamp_ns = clock.steady_ns(device_ns, true_ns + delay_ns)
        stamps.append(stamp_ns)
        errors.append(stamp_ns - true_ns)
    return np.array(errors), np.array(stamps)


@given(st.integers(0, 10**6), st.floats(-200e-6, 200e-6), st.integers(-(10**15), 10**15))
def test_stamps_are_right_up_to_the_shortest_delay_whatever_drift_epoch_and_jitter(
    seed, drift, epoch_ns
):
    errors, stamps = errors_ns(seed, drift, epoch_ns=epoch_ns)

    assert np.abs(errors[150:] - SHORTEST_NS).max() < 2_000_000
    assert (np.diff(stamps) > 0).all()


def test_two_minutes_of_drift_are_followed():
    errors, _ = errors_ns(1, 100e-6, images=3600)

    assert np.abs(errors[-300:] - SHORTEST_NS).max() < 1_000_000


def test_one_late_arrival_moves_no_stamp():
    clock = DeviceClock()
    for number in range(30):
        clock.steady_ns(number * PERIOD_NS, START_NS + number * PERIOD_NS)

    late = clock.steady_ns(30 * PERIOD_NS, START_NS + 30 * PERIOD_NS + 2_000_000_000)
    assert late == START_NS + 30 * PERIOD_NS


def test_a_device_that_was_reset_is_measured_anew_and_stamps_go_on_rising():
    errors, stamps = errors_ns(2, 0.0, rebooted_at=450)

    assert (np.diff(stamps) > 0).all()
    assert np.abs(errors[-300:] - SHORTEST_NS).max() < 1_000_000
