"""Latencies from two recordings of one motion: how much later the second one shows it.

| latency | first recording | second recording |
|---|---|---|
| camera | place of the tool along its path, by the arm's clock | the same from images, by stamps |
| action | commanded positions, when they were sent | measured positions |
| gripper | commanded closure, when it was sent | measured closure |

As UMI does (Chi et al., 2024, appendix), the delay is that at which the two correlate best. Between
samples it is found by interpolation, so it is finer than the slower recording's period. A motion
that repeats is ambiguous by its period: move irregularly, for ten seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carp_ros.errors import CalibrationError
from carp_ros.types import Array

Seconds = npt.NDArray[np.floating]

_LEAST_SAMPLES = 50
_GRID_S = 0.002
_LEAST_CORRELATION = 0.9
_CLEAR = 0.03  # the correlation at any other delay must be lower by this
_APART_S = 0.1
_EARLIEST_S = -0.1  # a delay below zero tells of clocks that disagree


@dataclass(frozen=True)
class Signal:
    """A recording: `times_ns` of shape (N,), strictly increasing, and `values` (N, D)."""

    times_ns: npt.NDArray[np.int64]
    values: Array


@dataclass(frozen=True)
class LatencyFit:
    """A delay.

    Attributes:
        latency_s: How much later the second recording shows the motion.
        std_s: Its standard error.
        correlation: Of the two recordings at that delay, 0 to 1.
    """

    latency_s: float
    std_s: float
    correlation: float


def measure_latency(first: Signal, second: Signal, longest_s: float = 0.5) -> LatencyFit:
    """Find the delay of `second` after `first`.

    Each is reduced to its principal component, so that units, directions and gains do not matter.

    Args:
        first: The command, or the faster recording.
        second: The delayed recording.
        longest_s: Delays up to this are considered, and up to 0.1 s in the other direction, which
            tell of clocks that disagree.

    Raises:
        CalibrationError: If the recordings overlap too little, do not move, do not correlate, or
            fit another delay as well.
    """
    along_first, along_second = _principal(first, "first"), _principal(second, "second")
    start_ns = int(first.times_ns[0])
    times_s = (first.times_ns - start_ns) * 1e-9
    seen_s = (second.times_ns - start_ns) * 1e-9
    inside = (seen_s - longest_s >= times_s[0]) & (seen_s - _EARLIEST_S <= times_s[-1])
    if inside.sum() < _LEAST_SAMPLES:
        raise CalibrationError(
            f"{int(inside.sum())} samples of the second recording lie within the first; expected"
            f" {_LEAST_SAMPLES} or more: record both at once, for ten seconds"
        )
    seen_s, along_second = seen_s[inside], along_second[inside]

    def correlation(delay_s: float) -> float:
        then = np.interp(seen_s - delay_s, times_s, along_first)
        then = then - then.mean()
        here = along_second - along_second.mean()
        return abs(float(then @ here)) / max(
            float(np.linalg.norm(then) * np.linalg.norm(here)), 1e-12
        )

    grid_s = np.arange(_EARLIEST_S, longest_s + _GRID_S / 2, _GRID_S)
    found = np.array([correlation(delay) for delay in grid_s])
    best = int(np.argmax(found))
    if found[best] < _LEAST_CORRELATION:
        raise CalibrationError(
            f"the recordings correlate by {found[best]:.2f} at most; expected"
            f" {_LEAST_CORRELATION:g}: are they of the same motion, and was it large enough?"
        )
    if best in (0, len(grid_s) - 1):
        raise CalibrationError(
            f"the best delay, {grid_s[best]:.3f} s, is at the end of those considered: are both"
            " recordings stamped by the same clock?"
        )
    _require_clear(grid_s, found, best)
    delay_s = _peak(grid_s, found, best)
    return LatencyFit(
        delay_s,
        _standard_error(seen_s - delay_s, times_s, along_first, correlation(delay_s)),
        correlation(delay_s),
    )


def _principal(signal: Signal, name: str) -> Array:
    """Return a recording along its direction of greatest motion, of shape (N,)."""
    values = signal.values - signal.values.mean(axis=0)
    if len(values) < _LEAST_SAMPLES or not (np.diff(signal.times_ns) > 0).all():
        raise CalibrationError(
            f"the {name} recording has {len(values)} samples; expected {_LEAST_SAMPLES} or more,"
            " each later than the one before"
        )
    _, sizes, directions = np.linalg.svd(values, full_matrices=False)
    if sizes[0] < 1e-9:
        raise CalibrationError(f"the {name} recording does not move; expected a motion")
    return values @ directions[0]


def _require_clear(grid_s: Array, found: Array, best: int) -> None:
    """Check that no delay elsewhere fits nearly as well."""
    peaks = np.flatnonzero((found[1:-1] >= found[:-2]) & (found[1:-1] >= found[2:])) + 1
    rivals = [peak for peak in peaks if abs(grid_s[peak] - grid_s[best]) > _APART_S]
    for rival in rivals:
        if found[rival] > found[best] - _CLEAR:
            raise CalibrationError(
                f"delays of {grid_s[best]:.3f} and {grid_s[rival]:.3f} s fit alike: the motion"
                " repeats itself; move irregularly, at changing speed"
            )


def _peak(grid_s: Array, found: Array, best: int) -> float:
    """Return the top of the parabola through the best delay and its neighbours, in [s]."""
    before, top, after = found[best - 1 : best + 2]
    bend = before - 2.0 * top + after
    shift = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
    return float(grid_s[best] + shift * _GRID_S)


def _standard_error(at_s: Seconds, times_s: Seconds, along: Array, correlation: float) -> float:
    """Return the standard error of a delay, from the part of the signal not explained."""
    slope = np.gradient(along, times_s)
    speeds = np.interp(at_s, times_s, slope)
    unexplained = (1.0 - correlation**2) * float(np.var(np.interp(at_s, times_s, along)))
    return float(np.sqrt(unexplained / max(float((speeds**2).sum()), 1e-12)))
