"""What the recorder tells of the episode that it records, or recorded last."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

Phase = Literal["idle", "recording", "finishing", "finished", "discarded", "failed"]


@dataclass(frozen=True)
class RecorderStatus:
    """How the recorder and its episode are, on `recorder/quality`.

    Attributes:
        phase: What the recorder does, or how the episode ended.
        folder: Of the episode; empty before the first.
        verdict: The worst of what was found.
        reasons: All of it, in words.
        seconds: How long the episode is.
        received, expected: By camera or state topic, how many messages came, and should have.
        lost: Messages that found the queue to the writer full.
        backlog_bytes, most_backlog_bytes: How far the writer is behind, and was at most.
        size_bytes: Of the episode on disk.
        success: Whether its task was done; None where nobody said.
    """

    schema: ClassVar[int] = 1

    phase: Phase = "idle"
    folder: str = ""
    verdict: Literal["unknown", "green", "amber", "red"] = "unknown"
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0
    received: dict[str, int] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    backlog_bytes: int = 0
    most_backlog_bytes: int = 0
    size_bytes: int = 0
    success: bool | None = None
