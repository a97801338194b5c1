"""The recorder's report about the current or last episode."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

Phase = Literal["idle", "recording", "finishing", "finished", "discarded", "failed"]


@dataclass(frozen=True)
class RecorderStatus:
    """The state of the recorder and its episode, on `recorder/quality`.

    Attributes:
        phase: What the recorder is doing, or how the episode ended.
        folder: Folder of the episode; empty before the first.
        verdict: The worst finding.
        reasons: All findings, in words.
        seconds: Length of the episode.
        received, expected: Number of messages by camera or state topic.
        lost: Messages dropped because the queue to the writer was full.
        backlog_bytes, most_backlog_bytes: How far the writer is behind, and was at most.
        size_bytes: Size of the episode on disk.
        success: Whether the task was done; None if not labelled.
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
