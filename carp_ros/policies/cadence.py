"""Timing of plans: asks the policy as soon as a plan is due and a new observation arrives."""

from __future__ import annotations

from carp_ros.inference.track import SET_BACK_NS


class Cadence:
    """Says when to ask.

    Once a plan is due, the policy is asked about the next observation that becomes complete, at
    once: one that was already complete would be almost a frame old. If none becomes complete in
    time, asking is overdue; the caller then asks anyway, to find out what is missing.

    All times are of one clock, except the stamps, which have another.

    Args:
        period_ns: Time between plans; kept on average, whatever the frame rate.
        patience_ns: How long to wait for a new observation.
        retry_ns: Time from a failed attempt to the next.
    """

    def __init__(self, period_ns: int, patience_ns: int, retry_ns: int) -> None:
        self._period_ns, self._patience_ns, self._retry_ns = period_ns, patience_ns, retry_ns
        self._due_ns = 0
        self._newest_ns: int | None = None

    @property
    def due_ns(self) -> int:
        """When the next plan is due."""
        return self._due_ns

    def restart(self, now_ns: int) -> None:
        """Make a plan due now."""
        self._due_ns = now_ns

    def offer(self, now_ns: int, stamp_ns: int | None) -> bool:
        """Return whether to ask about the newest complete observation.

        Args:
            now_ns: The current time.
            stamp_ns: Of that observation, None if there is none; call whenever it may have changed.
        """
        if stamp_ns is None:
            return False
        newest_ns = self._newest_ns
        # much older than the newest: the clock of the stamps was set back
        is_new = newest_ns is None or not 0 <= newest_ns - stamp_ns < SET_BACK_NS
        if is_new:
            self._newest_ns = stamp_ns
        return is_new and now_ns >= self._due_ns

    def is_near(self, now_ns: int, within_ns: int) -> bool:
        """Return whether a plan is due, or will be within this time."""
        return now_ns >= self._due_ns - within_ns

    def is_overdue(self, now_ns: int) -> bool:
        """Return whether nothing new came in time."""
        return now_ns >= self._due_ns + self._patience_ns

    def asked(self, now_ns: int) -> None:
        """Register that the policy is being asked."""
        self._due_ns += self._period_ns
        if self._due_ns <= now_ns:  # a whole period late
            self._due_ns = now_ns + self._period_ns

    def failed(self, now_ns: int) -> None:
        """Register a failed attempt."""
        self._due_ns = now_ns + self._retry_ns
