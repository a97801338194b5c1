"""Where the images of an episode are in a file that may hold those of several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Segment:
    """An episode's part of a video.

    Attributes:
        path: Of the file.
        start_s: Where in it the episode's first image stands.
    """

    path: Path
    start_s: float
