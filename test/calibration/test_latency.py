import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.calibration.latency import Signal, measure_latency
from carp_ros.errors import CalibrationError
from carp_ros.types import Array


def irregular(times_s: Array) -> Array:
    return np.sin(2 * np.pi * (0.3 * times_s + 0.06 * times_s**2)) * (1 + 0.3 * np.sin(times_s))


def signal(times_s: Array, values: Array) -> Signal:
    nanoseconds = 1_700_000_000_000_000_000 + np.round(times_s * 1e9).astype(np.int64)
    return Signal(nanoseconds, values if values.ndim == 2 else values[:, None])


COMMAND_S = np.arange(0.0, 10.0, 0.002)


@given(
    delay_s=st.floats(0.0, 0.4), gain=st.sampled_from([-3.0, 0.01, 1.0]), seed=st.integers(0, 99)
)
@settings(max_examples=15, deadline=None)
def test_a_delay_is_found_whatever_the_units_and_the_noise(delay_s, gain, seed):
    rng = np.random.default_rng(seed)
    seen_s = np.arange(0.0, 10.0, 1 / 30) + rng.uniform(-0.004, 0.004, 300)
    direction = np.array([0.6, 0.0, 0.8])
    seen = gain * irregular(seen_s - delay_s)[:, None] * direction
    seen = seen + 0.02 * abs(gain) * rng.normal(size=seen.shape)

    fit = measure_latency(signal(COMMAND_S, irregular(COMMAND_S)), signal(seen_s, seen))

    assert abs(fit.latency_s - delay_s) < min(0.005, 6.0 * fit.std_s)
    assert fit.correlation > 0.99


def test_clocks_that_disagree_show_as_a_negative_delay():
    seen_s = np.arange(0.0, 10.0, 1 / 30)
    fit = measure_latency(
        signal(COMMAND_S, irregular(COMMAND_S)), signal(seen_s, irregular(seen_s + 0.05))
    )
    assert fit.latency_s == pytest.approx(-0.05, abs=1e-3)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (lambda t: np.sin(2 * np.pi * 4.0 * t + 1.0), "correlate by"),
        (lambda t: np.zeros_like(t), "does not move"),
        (lambda t: irregular(t - 0.8), "correlate by|at the end"),
    ],
)
def test_recordings_of_no_common_motion_are_refused(seen, words):
    seen_s = np.arange(0.0, 10.0, 1 / 30)
    with pytest.raises(CalibrationError, match=words):
        measure_latency(signal(COMMAND_S, irregular(COMMAND_S)), signal(seen_s, seen(seen_s)))


def test_a_motion_that_repeats_itself_within_the_delays_considered_is_refused():
    def wave(times_s: Array) -> Array:
        return np.sin(2 * np.pi * 3.0 * times_s)

    seen_s = np.arange(0.0, 10.0, 1 / 30)
    with pytest.raises(CalibrationError, match=r"repeats itself; move irregularly"):
        measure_latency(signal(COMMAND_S, wave(COMMAND_S)), signal(seen_s, wave(seen_s - 0.1)))


def test_recordings_that_hardly_overlap_are_refused():
    later_s = np.arange(9.0, 19.0, 1 / 30)
    with pytest.raises(CalibrationError, match=r"lie within the first; expected 50"):
        measure_latency(
            signal(COMMAND_S, irregular(COMMAND_S)), signal(later_s, irregular(later_s))
        )
