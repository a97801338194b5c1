"""Which moments of an episode become a dataset's frames.

A dataset's frames lie at equal distances; a camera's captures nearly do. Frame k is the capture of
the reference camera nearest to k periods after the first frame. A camera's true rate is never quite
its nominal one: at that rate a capture is left out, or shown twice, whenever the two have drifted
apart by half a period.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from carp_ros.errors import EpisodeError

Frame = TypeVar("Frame")

_SETTLED_NS = 500_000_000  # messages arrive this much out of the order of their stamps, at most
_REPEATED_SHARE = 0.05  # of the frames: more are seen, and the camera is slower than it should be
_TAIL_NS = 1_000_000_000  # of an episode, that may lack what a frame needs


class FrameGrid(Generic[Frame]):
    """Picks frames while an episode's messages pass by.

    The first frame is the first capture of which all is known. Captures at the end, of which not
    all is known, are left out, up to a second. One before that is an error: a frame after it would
    be said to follow at once, and an episode without its end shows no success.

    Args:
        rate_hz: Frames per second of the dataset.
        skew_s: How far from a frame's time its capture may lie; half a period is allowed always.
        frame_at: Returns the frame of a capture's time, or in words why there is none.
    """

    def __init__(
        self, rate_hz: float, skew_s: float, frame_at: Callable[[int], Frame | str]
    ) -> None:
        self._rate_hz = rate_hz
        self._period_ns = 1e9 / rate_hz
        self._farthest_ns = max(0.5 * self._period_ns, skew_s * 1e9)
        self._frame_at = frame_at
        self._captures_ns: list[int] = []
        self._tried = 0  # captures before the first frame
        self._start_ns: int | None = None
        self._count = 0
        self._missing = ""
        self._missing_ns = 0
        self._newest_ns = 0
        self._shown_ns = 0
        self._repeated = 0

    @property
    def problem(self) -> str:
        """Why the first moment that lacks a frame has none, if so."""
        return self._missing

    def take(self, capture_ns: int) -> None:
        """Add a capture time of the reference camera; one that does not rise is ignored."""
        if not self._captures_ns or capture_ns > self._captures_ns[-1]:
            self._captures_ns.append(capture_ns)

    def frames(self, newest_ns: int) -> Iterator[Frame]:
        """Yield the frames of which all has been said.

        Args:
            newest_ns: The newest stamp of all messages so far.

        Raises:
            EpisodeError: If a moment between two frames has none.
        """
        self._newest_ns = newest_ns
        yield from self._frames_until(newest_ns - _SETTLED_NS)

    def last_frames(self) -> Iterator[Frame]:
        """Yield the frames that are left after the last message.

        Raises:
            EpisodeError: If a moment between two frames has none, or the end of the episode, or if
                the camera is slower than the frames.
        """
        if self._captures_ns:
            yield from self._frames_until(self._captures_ns[-1])
        lost_ns = self._newest_ns - self._missing_ns
        if self._start_ns is not None and self._missing and lost_ns > _TAIL_NS:
            raise EpisodeError(self._missing)
        if self._repeated > 1 + _REPEATED_SHARE * self._count:
            seconds = (self._captures_ns[-1] - self._captures_ns[0]) * 1e-9
            sent_hz = (len(self._captures_ns) - 1) / seconds
            raise EpisodeError(
                f"the reference camera sends {sent_hz:.1f} images a second: {self._repeated} of"
                f" {self._count} frames at {self._rate_hz:g} Hz would show one again; convert with"
                f" --rate-hz {max(1, int(sent_hz))}"
            )

    def _frames_until(self, settled_ns: int) -> Iterator[Frame]:
        if self._start_ns is None:
            yield from self._first(settled_ns)
        while self._start_ns is not None:
            due_ns = self._start_ns + round(self._count * self._period_ns)
            if due_ns > settled_ns:
                return
            self._count += 1
            frame = self._nearest(due_ns)
            if not isinstance(frame, str):
                if self._missing:
                    raise EpisodeError(self._missing)
                yield frame
            elif self._missing and due_ns - self._missing_ns > _TAIL_NS:
                return  # an error at the end; one stamp may lie years ahead
            elif not self._missing:
                after_s = (due_ns - self._start_ns) * 1e-9
                self._missing = f"{after_s:.2f} s after the first frame: {frame}"
                self._missing_ns = due_ns

    def _first(self, settled_ns: int) -> Iterator[Frame]:
        for capture_ns in self._captures_ns[self._tried :]:
            if capture_ns > settled_ns:
                return
            self._tried += 1
            frame = self._frame_at(capture_ns)
            if not isinstance(frame, str):
                self._start_ns, self._count, self._missing = capture_ns, 1, ""
                self._shown_ns = capture_ns
                yield frame
                return
            self._missing, self._missing_ns = frame, capture_ns

    def _nearest(self, due_ns: int) -> Frame | str:
        captures_ns = self._captures_ns
        after = bisect_left(captures_ns, due_ns)
        if after == len(captures_ns):
            return "the reference camera's images end"
        around_ns = captures_ns[max(after - 1, 0) : after + 1]
        nearest_ns = min(around_ns, key=lambda capture_ns: abs(capture_ns - due_ns))
        if abs(nearest_ns - due_ns) < self._farthest_ns:
            self._repeated += nearest_ns == self._shown_ns
            self._shown_ns = nearest_ns
            return self._frame_at(nearest_ns)
        gap_s = (captures_ns[after] - captures_ns[after - 1]) * 1e-9
        return f"{gap_s:.2f} s without an image of the reference camera"
