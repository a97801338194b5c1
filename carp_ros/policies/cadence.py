"""When a policy is asked: at the moment at which there is something new to be asked about."""

from __future__ import annotations

from carp_ros.inference.track import SET_BACK_NS


class Cadence:
    """Says when to ask.

    Once the next plan is due, the first observation that becomes whole from then on is asked about,
    at once: one that was whole already is a frame old, or nearly. Where none becomes whole in time,
    asking is overdue, and whoever asks will hear what is missing.

    All times are of one clock; the stamps have another one.

    Args:
        period_ns: From one plan to the next; kept on average, however long frames take.
        patience_ns: How long a new observation is waited for.
        retry_ns: From an attempt that came to nothing to the next.
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
        """Let a plan be due now."""
        self._due_ns = now_ns

    def offer(self, now_ns: int, stamp_ns: int | None) -> bool:
        """Tell whether to ask about the newest whole observation.

        Args:
            now_ns: The present.
            stamp_ns: Of that observation, None if there is none; offer it whenever it may have
                become a newer one.
        """
        if stamp_ns is None:
            return False
        newest_ns = self._newest_ns
        # older by far: the clock was set back
        is_new = newest_ns is None or not 0 <= newest_ns - stamp_ns < SET_BACK_NS
        if is_new:
            self._newest_ns = stamp_ns
        return is_new and now_ns >= self._due_ns

    def is_near(self, now_ns: int, within_ns: int) -> bool:
        """Tell whether a plan is due, or will be that soon."""
        return now_ns >= self._due_ns - within_ns

    def is_overdue(self, now_ns: int) -> bool:
        """Tell whether nothing new came in time."""
        return now_ns >= self._due_ns + self._patience_ns

    def asked(self, now_ns: int) -> None:
        """Take note that the policy is being asked."""
        self._due_ns += self._period_ns
        if self._due_ns <= now_ns:  # a whole period late
            self._due_ns = now_ns + self._period_ns

    def failed(self, now_ns: int) -> None:
        """Take note of an attempt that came to nothing."""
        self._due_ns = now_ns + self._retry_ns
