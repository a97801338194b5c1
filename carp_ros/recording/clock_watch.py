"""Detects that the clock that stamps a recording was set back.

The stamps of a stream must rise; a message with an older stamp is dropped, which is harmless for a
single late message. After a clock was set back, however, every stream would be dropped until the
clock has caught up, and that part of the episode would be missing without notice.
"""

from __future__ import annotations

_IN_A_ROW = 2


class ClockWatch:
    """Checks the stamps of one episode's streams in order of arrival."""

    def __init__(self) -> None:
        self._newest_ns: dict[str, int] = {}
        self._behind: dict[str, list[int]] = {}
        self._first_ns: int | None = None
        self.problem = ""

    def take(self, topic: str, stamp_ns: int) -> None:
        """Check one message; `problem` is set once the clock was set back."""
        if self._first_ns is None:
            self._first_ns = stamp_ns
        newest_ns = self._newest_ns.get(topic)
        if newest_ns is None or stamp_ns >= newest_ns:
            self._newest_ns[topic] = stamp_ns
            self._behind.pop(topic, None)
            return
        behind_ns = self._behind.setdefault(topic, [])
        if behind_ns and stamp_ns <= behind_ns[-1]:
            behind_ns.clear()
        behind_ns.append(stamp_ns)
        if len(behind_ns) == _IN_A_ROW and not self.problem:
            back_s = (newest_ns - behind_ns[0]) * 1e-9
            after_s = (newest_ns - self._first_ns) * 1e-9
            self.problem = (
                f"the clock was set back by {back_s:.2f} s after {after_s:.2f} s ({topic}), so"
                " times occur twice; expected a clock that only moves forward: slew it instead of"
                " setting it while recording"
            )
