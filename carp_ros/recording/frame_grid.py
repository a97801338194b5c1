"""Selects the camera captures that become a dataset's frames.

A dataset's frames are equally spaced in time; a camera's captures only nearly so. Frame k is the
reference camera's capture nearest to k periods after the first frame. A camera's true rate differs
slightly from its nominal one: at the nominal rate, a capture is skipped or repeated whenever the
two have drifted apart by half a period.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from carp_ros.errors import EpisodeError

Frame = TypeVar("Frame")

_SETTLED_NS = 500_000_000  # messages arrive at most this far out of stamp order
_REPEATED_SHARE = 0.05  # of the frames; more means that the camera is slower than the frames
_TAIL_NS = 1_000_000_000  # at the end of an episode, where frames may be incomplete


class FrameGrid(Generic[Frame]):
    """Picks frames while an episode's messages stream in.

    The first frame is the first capture with complete data. Captures with incomplete data are
    dropped within the last second of the episode. Earlier ones are an error: dropping one would
    make the frames around it look consecutive, and ending the episode there would hide its success.

    Args:
        rate_hz: Frames per second of the dataset.
        skew_s: The furthest a capture may be from its frame's time; half a period always may.
        frame_at: Returns the frame at a capture's time, or the reason why there is none.
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
        """The reason for the first missing frame; empty if none is missing."""
        return self._missing

    def take(self, capture_ns: int) -> None:
        """Add a capture time of the reference camera; one that is not newer is ignored."""
        if not self._captures_ns or capture_ns > self._captures_ns[-1]:
            self._captures_ns.append(capture_ns)

    def frames(self, newest_ns: int) -> Iterator[Frame]:
        """Yield the frames whose data have all arrived.

        Args:
            newest_ns: The newest stamp of all messages so far.

        Raises:
            EpisodeError: If a frame between two others is missing.
        """
        self._newest_ns = newest_ns
        yield from self._frames_until(newest_ns - _SETTLED_NS)

    def last_frames(self) -> Iterator[Frame]:
        """Yield the remaining frames after the last message.

        Raises:
            EpisodeError: If a frame between two others is missing, if more than the last second is
                missing, or if the camera is slower than the frames.
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
                return  # `last_frames` raises; a stamp may lie years ahead, so do not scan on
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
