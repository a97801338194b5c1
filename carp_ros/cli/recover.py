"""`carp recover`: completes episodes whose recording was cut off."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from carp_ros.errors import CarpError
from carp_ros.recording.recover import Recovery, find_recordings, recover
from carp_ros.refusal import in_words


@dataclass(frozen=True)
class RecoverCommand:
    """Complete episodes whose recording was cut off by a crash, a power cut or a full disk.

    What is on disk becomes a finished episode. Finished episodes, and one that is being recorded,
    stay unchanged.

    Attributes:
        folders: Episodes, or folders of episodes.
    """

    folders: tyro.conf.Positional[tuple[Path, ...]]


def main(command: RecoverCommand) -> int:
    """Recover the episodes and print each outcome; return 1 if one could not be recovered."""
    if not command.folders:
        raise ValueError("no folder is given; expected episodes, or folders of episodes")
    failures = 0
    for episode in [episode for folder in command.folders for episode in find_recordings(folder)]:
        try:
            recovery = recover(episode)
            failures += recovery.outcome == "foreign"
            print(f"{episode}: {_in_words(recovery)}", flush=True)
        except (CarpError, ValueError, OSError) as error:  # the next episode may be readable
            failures += 1
            print(f"{episode}: failed: {in_words(error)}", flush=True)
    return 1 if failures else 0


def _in_words(recovery: Recovery) -> str:
    return {
        "whole": "finished, nothing to do",
        "recovered": f"recovered {recovery.seconds:.1f} s, {recovery.messages} messages",
        "empty": "holds nothing that can be read; remove it",
        "foreign": "not recognisable as an episode: a bag of `ros2 bag record`, or one whose"
        " metadata `ros2 bag convert` dropped (restore the original metadata.yaml); left alone",
        "busy": "is being recorded now; left alone",
    }[recovery.outcome]
