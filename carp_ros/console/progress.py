"""Shows the progress of a long job: a bar on a terminal, otherwise an occasional line."""

from __future__ import annotations

import sys
import time

_WIDTH = 24
_QUIET_S = 10.0  # between two lines if the output is no terminal


class Progress:
    """Shows how many of `total` items are done.

    Args:
        total: Number of items.
        unit: Name of the items, in the plural.
    """

    def __init__(self, total: int, unit: str) -> None:
        self._total = total
        self._unit = unit
        self._begin_s = time.monotonic()
        self._shown_s = self._begin_s
        self._terminal = sys.stdout.isatty()

    def show(self, done: int, note: str = "") -> None:
        """Show the progress.

        Args:
            done: Number of items done.
            note: Additional text.
        """
        now_s = time.monotonic()
        text = self._text(done, now_s, note)
        if self._terminal:
            print(f"\r\033[K{text}", end="\n" if done == self._total else "", flush=True)
        elif done == self._total or now_s - self._shown_s > _QUIET_S:
            self._shown_s = now_s
            print(text, flush=True)

    def _text(self, done: int, now_s: float, note: str) -> str:
        per_minute = 60.0 * done / max(now_s - self._begin_s, 1e-9)
        left_s = 60.0 * (self._total - done) / max(per_minute, 1e-9)
        bar = "#" * round(_WIDTH * done / self._total)
        return (
            f"[{bar:.<{_WIDTH}}] {done} of {self._total} {self._unit}, {per_minute:.1f} a minute,"
            f" {_duration(left_s)} left{', ' if note else ''}{note}"
        )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100.0 else f"{seconds / 60.0:.0f} min"
