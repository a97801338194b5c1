"""Which moments of an episode become a dataset's frames.

A dataset's frames lie at equal distances; a camera's captures nearly do. Frame k is the capture of
the reference camera nearest to k periods after the first frame.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from carp_ros.errors import EpisodeError

Frame = TypeVar("Frame")

_SETTLED_NS = 500_000_000  # messages arrive this much out of the order of their stamps, at most


class FrameGrid(Generic[Frame]):
    """Picks frames while an episode's messages pass by.

    The first frame is the first capture of which all is known. Captures at the end of which not all
    is known are left out; one in between is an error, for the frames after it would be said to
    follow at once.

    Args:
        rate_hz: Frames per second of the dataset.
        frame_at: Returns the frame of a capture's time, or in words why there is none.
    """

    def __init__(self, rate_hz: float, frame_at: Callable[[int], Frame | str]) -> None:
        self._period_ns = 1e9 / rate_hz
        self._frame_at = frame_at
        self._captures_ns: list[int] = []
        self._tried = 0  # captures before the first frame
        self._start_ns: int | None = None
        self._count = 0
        self._missing = ""

    @property
    def problem(self) -> str:
        """Why the newest moment that was tried has no frame, if so."""
        return self._missing

    def take(self, capture_ns: int) -> None:
        """Add a capture time of the reference camera; one that does not rise is ignored."""
        if not self._captures_ns or capture_ns > self._captures_ns[-1]:
            self._captures_ns.append(capture_ns)

    def frames(self, now_ns: int | None) -> Iterator[Frame]:
        """Yield the frames of which all has been said.

        Args:
            now_ns: The newest stamp of all messages so far; None after the last.

        Raises:
            EpisodeError: If a moment between two frames has none.
        """
        settled_ns = now_ns - _SETTLED_NS if now_ns is not None else None
        if self._start_ns is None:
            yield from self._first(settled_ns)
        while self._start_ns is not None:
            due_ns = self._start_ns + round(self._count * self._period_ns)
            if self._is_ahead(due_ns, settled_ns):
                return
            self._count += 1
            frame = self._nearest(due_ns)
            if isinstance(frame, str):
                after_s = (due_ns - self._start_ns) * 1e-9
                self._missing = self._missing or f"{after_s:.2f} s after the first frame: {frame}"
            elif self._missing:
                raise EpisodeError(self._missing)
            else:
                yield frame

    def _first(self, settled_ns: int | None) -> Iterator[Frame]:
        for capture_ns in self._captures_ns[self._tried :]:
            if settled_ns is not None and capture_ns > settled_ns:
                return
            self._tried += 1
            frame = self._frame_at(capture_ns)
            if not isinstance(frame, str):
                self._start_ns, self._count, self._missing = capture_ns, 1, ""
                yield frame
                return
            self._missing = frame

    def _is_ahead(self, due_ns: int, settled_ns: int | None) -> bool:
        if settled_ns is not None:
            return due_ns > settled_ns
        return due_ns > self._captures_ns[-1] + self._period_ns / 2

    def _nearest(self, due_ns: int) -> Frame | str:
        captures_ns = self._captures_ns
        after = bisect_left(captures_ns, due_ns)
        nearest_ns = min(
            captures_ns[max(after - 1, 0) : after + 1], key=lambda ns: abs(ns - due_ns)
        )
        # farther off, it is the nearest of another frame
        if abs(nearest_ns - due_ns) >= self._period_ns / 2:
            gap_s = (captures_ns[after] - captures_ns[after - 1]) * 1e-9
            return f"{gap_s:.2f} s without an image of the reference camera"
        return self._frame_at(nearest_ns)
