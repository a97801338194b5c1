"""Finds the depth of each colour image, and never loses or repeats a colour image for it."""

from __future__ import annotations

from typing import Generic, TypeVar

Colour = TypeVar("Colour")
Frames = TypeVar("Frames")


class DepthPairing(Generic[Colour, Frames]):
    """Sorts what librealsense's synchroniser delivers.

    When a frame of one stream comes late or not at all, the synchroniser delivers the other
    together with an old frame of the first: colour images repeat, or have the depth of an earlier
    moment. Here each colour image comes out once and in order, with its own depth or with none.

    Args:
        most_apart_ms: How far the capture times of an image and its depth may be apart.
    """

    def __init__(self, most_apart_ms: float) -> None:
        self._most_apart_ms = most_apart_ms
        self._newest: int | None = None
        self._waiting: Colour | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a colour image came without its depth, which may still follow."""
        return self._waiting is not None

    def take(
        self, number: int, colour: Colour, frames: Frames, apart_ms: float | None
    ) -> list[tuple[Colour, Frames | None]]:
        """Add a set of frames; return the colour images that are complete now, with their depth.

        Args:
            number: Of the colour image.
            colour: The colour image.
            frames: The set with its depth.
            apart_ms: By how much the image is later than the depth in the set; None if there is
                no depth.
        """
        complete: list[tuple[Colour, Frames | None]] = []
        belongs = apart_ms is not None and abs(apart_ms) <= self._most_apart_ms
        if number == self._newest:
            if self._waiting is not None and belongs:
                complete.append((self._waiting, frames))
                self._waiting = None
            return complete
        complete += self.give_up()
        self._newest = number
        if belongs:
            complete.append((colour, frames))
        else:
            self._waiting = colour
        return complete

    def give_up(self) -> list[tuple[Colour, Frames | None]]:
        """Return the image that waits, without depth, if there is one."""
        waiting, self._waiting = self._waiting, None
        return [] if waiting is None else [(waiting, None)]
