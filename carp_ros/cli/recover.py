"""`carp recover`: completes episodes whose recording was cut off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from carp_ros.errors import CarpError
from carp_ros.recording.recover import Recovery, find_episodes, recover
from carp_ros.refusal import in_words


@dataclass(frozen=True)
class RecoverCommand:
    """Complete episodes whose recording was cut off by a crash, a power cut or a full disk.

    What is on disk becomes a finished episode; finished ones, and one that is being recorded now,
    stay as they are.

    Attributes:
        folders: Episodes, or folders of episodes.
    """

    folders: tyro.conf.Positional[tuple[Path, ...]]


def main(command: RecoverCommand) -> int:
    """Recover what there is to recover, and say so; return 1 if something could not be."""
    if not command.folders:
        raise ValueError("no folder is given; expected episodes, or folders of episodes")
    failures = 0
    for episode in [episode for folder in command.folders for episode in find_episodes(folder)]:
        try:
            recovery = recover(episode)
            failures += recovery.outcome == "foreign"
            print(f"{episode}: {_in_words(recovery)}", flush=True)
        except (CarpError, ValueError, OSError) as error:  # of the disk, the next may be whole
            failures += 1
            print(f"{episode}: failed: {in_words(error)}", flush=True)
    return 1 if failures else 0


def _in_words(recovery: Recovery) -> str:
    return {
        "whole": "finished, nothing to do",
        "recovered": f"recovered {recovery.seconds:.1f} s, {recovery.messages} messages",
        "empty": "holds nothing that can be read; remove it",
        "foreign": "nothing in it says what it is: a bag of `ros2 bag record`, or one that lost"
        " that in `ros2 bag convert` (put the original's metadata.yaml there); left alone",
        "busy": "is being recorded now, left alone",
    }[recovery.outcome]
