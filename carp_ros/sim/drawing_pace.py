"""How often the cell's cameras are drawn: as often as wanted, or more rarely on a slow machine."""

from __future__ import annotations

_LEAST_HZ = 10.0  # an image is then at most 0.1 s older than at any rate
_TOO_BUSY, _IDLE = 0.9, 0.5  # shares of the time between two moments
_WEIGHT = 0.1  # of the last moment in the average
_FASTER_AFTER_S = 5.0


class DrawingPace:
    """Divides the wanted rate so that a renderer never draws without a pause.

    One that does takes what time the machine has left, and its images come late and irregularly.
    At half the rate they come in time, and the nodes that use them get to run.

    Args:
        rate_hz: The wanted rate.
    """

    def __init__(self, rate_hz: float) -> None:
        self._wanted_hz = rate_hz
        self._divisor = 1
        self._busy_s = 0.0
        self._idle_s = 0.0

    @property
    def rate_hz(self) -> float:
        """The rate at which to draw now."""
        return self._wanted_hz / self._divisor

    def drawn(self, busy_s: float) -> bool:
        """Take in how long it took to draw one moment, and return whether `rate_hz` changed."""
        self._busy_s += _WEIGHT * (busy_s - self._busy_s)
        too_busy = self._busy_s > _TOO_BUSY / self.rate_hz
        if too_busy and self._wanted_hz / (self._divisor + 1) >= _LEAST_HZ:
            return self._divide(self._divisor + 1)
        idle = self._divisor > 1 and self._busy_s < _IDLE * (self._divisor - 1) / self._wanted_hz
        self._idle_s = self._idle_s + 1.0 / self.rate_hz if idle else 0.0
        return self._idle_s > _FASTER_AFTER_S and self._divide(self._divisor - 1)

    def _divide(self, divisor: int) -> bool:
        self._divisor, self._busy_s, self._idle_s = divisor, 0.0, 0.0
        return True
