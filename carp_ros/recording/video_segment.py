"""The part of a video file that holds one episode; a file may hold several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Segment:
    """An episode's part of a video.

    Attributes:
        path: The video file.
        start_s: Time of the episode's first image in it, in [s].
    """

    path: Path
    start_s: float
