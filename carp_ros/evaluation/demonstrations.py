"""Records demonstrations in bulk in the lockstep cell, one seed each, on every core."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from carp_ros.evaluation.trials import scripted_operator
from carp_ros.processes.parent import end_worker_with_parent
from carp_ros.recording.bag import disk_errors
from carp_ros.recording.episode import EpisodeInfo, Verdict
from carp_ros.recording.live_episode import ImageFormat, LiveEpisode
from carp_ros.rig import Rig
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.sim.lockstep import run_episode
from carp_ros.sim.lockstep_recorder import LockstepRecorder
from carp_ros.sim.sentences import Sentences, instruction_of
from carp_ros.sim.tasks import task_named

_EPOCH_NS = 1_700_000_000_000_000_000
_APART_NS = 1_000_000_000_000  # between the start times of two episodes


@dataclass(frozen=True)
class DemonstrationSettings:
    """The settings shared by all demonstrations.

    Attributes:
        rig: The simulated rig.
        info: Metadata of every episode; seed, time, success and verdict are filled in for each.
        sentences: Which sentences become the episodes' instructions; None: that of `info`.
        level: Randomisation: `none`, `normal` or `hard`.
        timeout_s: An episode that takes longer, in simulated time, is stopped and judged.
        images: Whether images are compressed.
        folder: Parent of the episodes' folders.
    """

    rig: Rig
    info: EpisodeInfo
    sentences: Sentences | None
    level: str
    timeout_s: float
    images: ImageFormat
    folder: Path

    def episode_folder(self, seed: int) -> Path:
        """Return the folder of a seed's completed episode."""
        return self.folder / f"{self.info.task}_{self.level}_{seed:06d}"


@dataclass(frozen=True)
class Demonstration:
    """The result of one seed.

    Attributes:
        seed: Seed of positions and appearance.
        success: Whether the task succeeded, judged after the scene has settled.
        verdict: The recording quality.
        seconds: Duration in simulated [s].
        wall_s: Wall time that it took.
    """

    seed: int
    success: bool
    verdict: Verdict
    seconds: float
    wall_s: float


def record_demonstrations(
    settings: DemonstrationSettings, seeds: Sequence[int], workers: int = 1
) -> Generator[Demonstration, None, None]:
    """Yield each demonstration once it is complete on disk, in any order.

    An episode's folder appears only when it is complete. Closing the iterator completes the
    episodes in progress and skips the rest.

    Args:
        settings: The settings shared by all demonstrations.
        seeds: One episode each.
        workers: Number of processes.

    Raises:
        ValueError: If an episode's folder exists already.
        DeviceError: If the disk refuses a write.
    """
    with disk_errors(settings.folder):
        settings.folder.mkdir(parents=True, exist_ok=True)
        temporary_folder = tempfile.TemporaryDirectory(prefix=".unfinished_", dir=settings.folder)
    with temporary_folder as unfinished_folder:
        # Spawned, not forked: OpenGL and the parent's threads do not survive a fork.
        pool = ProcessPoolExecutor(
            workers,
            multiprocessing.get_context("spawn"),
            _open_recorder,
            (settings, Path(unfinished_folder)),
        )
        remaining = iter(seeds)
        pending = {pool.submit(_record, seed) for seed in islice(remaining, workers)}
        try:
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                # Submit one per completed job: jobs queued in the pool can't be withdrawn.
                pending |= {pool.submit(_record, seed) for seed in islice(remaining, len(done))}
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown()


class DemonstrationRecorder:
    """A cell with cameras, in which one process records one demonstration after another.

    Args:
        settings: The settings shared by all demonstrations.
        unfinished_folder: Folder for incomplete episodes, on the same disk as `settings.folder`.
    """

    def __init__(self, settings: DemonstrationSettings, unfinished_folder: Path) -> None:
        self._settings = settings
        self._unfinished_folder = unfinished_folder
        self._cell = Cell(settings.rig, task_named(settings.info.task), visuals=True)
        self._cameras = Cameras(self._cell)

    def record(self, seed: int) -> Demonstration:
        """Record the demonstration of a seed.

        Raises:
            ValueError: If its folder exists already.
            DeviceError: If the disk refuses a write.
        """
        begin_s = time.perf_counter()
        settings, cell = self._settings, self._cell
        cell.reset(seed, settings.level)
        folder = settings.episode_folder(seed)
        if folder.exists():
            raise ValueError(f"{folder} exists already; remove it, or choose another --seed-start")
        began_ns = _EPOCH_NS + seed * _APART_NS
        info = dataclasses.replace(settings.info, seed=seed, started_ns=began_ns)
        if settings.sentences is not None:
            words = instruction_of(cell.task, cell.goal, settings.sentences, seed)
            info = dataclasses.replace(info, instruction=words)
        episode = LiveEpisode(
            self._unfinished_folder / folder.name, settings.rig, info, settings.images
        )
        operator = scripted_operator(cell)
        recorder = LockstepRecorder(cell, self._cameras, operator, began_ns, episode.write)
        outcome = run_episode(cell, operator, settings.timeout_s, record=recorder.observe)
        episode.label(outcome.verdict.success)
        quality = episode.finish(began_ns + round(outcome.seconds * 1e9))
        os.rename(episode.folder, folder)
        return Demonstration(
            seed,
            outcome.verdict.success,
            quality.verdict,
            round(outcome.seconds, 3),
            round(time.perf_counter() - begin_s, 3),
        )

    def close(self) -> None:
        """Release the OpenGL context."""
        self._cameras.close()


_recorder: DemonstrationRecorder | None = None
"""One per worker process, reused because creating a cell is slow."""


def _open_recorder(settings: DemonstrationSettings, unfinished_folder: Path) -> None:
    # Ctrl-C reaches the whole process group, but episodes in progress are to be completed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_worker_with_parent()
    global _recorder
    _recorder = DemonstrationRecorder(settings, unfinished_folder)


def _record(seed: int) -> Demonstration:
    assert _recorder is not None
    return _recorder.record(seed)
