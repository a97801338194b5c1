"""`carp record --lockstep`: records demonstrations in bulk in the simulated cell."""

from __future__ import annotations

import copy
import dataclasses
import os
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from carp_ros.cli.record import RecordCommand
from carp_ros.cli.record_task import task_of
from carp_ros.console.progress import Progress
from carp_ros.evaluation.demonstrations import (
    Demonstration,
    DemonstrationSettings,
    record_demonstrations,
)
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.rig import Rig, load_rig
from carp_ros.share import version
from carp_ros.system.bringup import rig_path


def run(command: RecordCommand) -> int:
    """Record the episodes that do not exist yet, showing progress; return 0."""
    settings = _settings(command)
    seeds = range(command.seed_start, command.seed_start + command.episodes)
    missing = [seed for seed in seeds if not settings.episode_folder(seed).exists()]
    if len(missing) < len(seeds):
        print(f"{len(seeds) - len(missing)} episodes are there already")
    if not missing:
        return 0
    workers = min(command.workers or len(os.sched_getaffinity(0)), len(missing))
    progress = Progress(len(missing), "episodes")
    begin_s = time.monotonic()
    made: list[Demonstration] = []
    try:
        with closing(record_demonstrations(settings, missing, workers)) as demonstrations:
            for demonstration in demonstrations:
                made.append(demonstration)
                failed = sum(not each.success for each in made)
                progress.show(len(made), f"{failed} failed")
    except KeyboardInterrupt:
        print("\nstopped; the same command makes the rest", flush=True)
        raise
    finally:
        # episodes in progress were completed after the last one counted
        kept = sum(settings.episode_folder(seed).exists() for seed in missing)
        print(_summary(made, kept, time.monotonic() - begin_s, command.out))
    return 0


def _settings(command: RecordCommand) -> DemonstrationSettings:
    if command.agent != "demonstrator":
        raise ValueError(f"--agent is {command.agent}; expected demonstrator with --lockstep")
    path = rig_path(command.rig)
    rig = _with_rate(load_rig(path), command.camera_rate_hz)
    if rig.cell is None:
        raise ValueError(f"{path} has no section cell; --lockstep needs a simulated rig")
    task, instruction = task_of(command.task, command.instruction, rig)
    info = EpisodeInfo(
        rig=rig.name,
        task=task,
        instruction=instruction,
        operator=command.operator or command.agent,
        seed=None,
        software=version(),
        started_ns=0,
        rig_file=_as_recorded(rig),
    )
    sentences = None if command.instruction else command.sentences
    return DemonstrationSettings(
        rig, info, sentences, command.level, command.timeout_s, command.images, command.out
    )


def _with_rate(rig: Rig, rate_hz: float) -> Rig:
    """Return the rig with all cameras at this rate; 0 keeps the rig's rates."""
    if rate_hz < 0.0:
        raise ValueError(f"--camera-rate-hz is {rate_hz}; expected more than 0, or 0 for the rig's")
    if rate_hz == 0.0:
        return rig
    cameras = {
        name: dataclasses.replace(camera, rate_hz=rate_hz) for name, camera in rig.cameras.items()
    }
    return dataclasses.replace(rig, cameras=cameras)


def _as_recorded(rig: Rig) -> dict[str, Any]:
    """Return the content of a rig's file with the cameras' rates of this recording."""
    rig_file = copy.deepcopy(rig.file.recorded)
    for name, camera in rig.cameras.items():
        rig_file["cameras"][name]["rate_hz"] = camera.rate_hz
    return rig_file


def _summary(made: Sequence[Demonstration], kept: int, wall_s: float, folder: Path) -> str:
    verdicts = Counter(each.verdict for each in made)
    colours = ", ".join(f"{verdicts[colour]} {colour}" for colour in sorted(verdicts))
    more = f"; {kept - len(made)} more were completed meanwhile" if kept > len(made) else ""
    return (
        f"{kept} episodes in {wall_s:.0f} s ({60.0 * kept / max(wall_s, 1e-9):.1f} a"
        f" minute), {sum(each.success for each in made)} successful; quality: {colours or 'none'};"
        f" {folder}{more}"
    )
