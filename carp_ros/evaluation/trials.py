"""Many episodes of one agent in the lockstep cell, one seed each, on every core."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from carp_ros.rig import Rig
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.sim.demonstrator import Demonstrator
from carp_ros.sim.lockstep import Agent, Operator, run_episode
from carp_ros.sim.tasks import task_named

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Conditions:
    """What is the same in all trials.

    Attributes:
        rig: The simulated rig.
        task: `cup` or `bowl`.
        level: Randomisation: `none`, `normal` or `hard`.
        timeout_s: A trial that takes longer, in simulated time, is stopped and judged.
        make_agent: Returns the agent for a cell; a function of a module, as processes share it.
    """

    rig: Rig
    task: str
    level: str
    timeout_s: float
    make_agent: Callable[[Cell], Agent]


@dataclass(frozen=True)
class Trial:
    """What came of one trial.

    Attributes:
        seed: Of places and looks.
        success: Whether the task was done, judged on the settled end.
        reasons: What was wrong, if not.
        seconds: How long the agent took, in simulated [s].
        timed_out: Whether it was stopped.
        wall_s: How long the simulation took.
    """

    seed: int
    success: bool
    reasons: tuple[str, ...]
    seconds: float
    timed_out: bool
    wall_s: float


def demonstrate(cell: Cell) -> Operator:
    """Return the scripted operator for a cell."""
    return Operator(cell.rig, Demonstrator(lambda: cell, cell.rig))


def run_trials(
    conditions: Conditions, seeds: Iterable[int], pictured: Iterable[int] = (), workers: int = 1
) -> Iterator[tuple[Trial, list[Picture]]]:
    """Yield each trial as it ends, in no order, with pictures of those in `pictured`.

    Args:
        conditions: What is the same in all trials.
        seeds: One trial each.
        pictured: Seeds to return pictures of: first, middle and last, the cameras stacked.
        workers: Processes.
    """
    work = partial(run_trial, conditions, frozenset(pictured))
    # Spawned, not forked: OpenGL and threads of the parent do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(work, seeds)


def run_trial(
    conditions: Conditions, pictured: frozenset[int], seed: int
) -> tuple[Trial, list[Picture]]:
    """Run one trial in this process; return it, and pictures if `pictured` holds its seed."""
    begin_s = time.perf_counter()
    cell = Cell(conditions.rig, task_named(conditions.task), visuals=seed in pictured)
    cell.reset(seed, conditions.level)
    moments = []

    def watch(now_ns: int) -> None:
        moments.append(cell.snapshot(now_ns))

    outcome = run_episode(cell, conditions.make_agent(cell), conditions.timeout_s, watch)
    trial = Trial(
        seed,
        outcome.verdict.success,
        outcome.verdict.reasons,
        round(outcome.seconds, 3),
        outcome.timed_out,
        round(time.perf_counter() - begin_s, 3),
    )
    if seed not in pictured:
        return trial, []
    return trial, _pictures(cell, (moments[0], moments[len(moments) // 2], moments[-1]))


def _pictures(cell: Cell, moments: Iterable[npt.NDArray[np.void]]) -> list[Picture]:
    cameras = Cameras(cell)
    pictures = []
    for moment in moments:
        cell.restore(moment)
        pictures.append(np.vstack([cameras.render(name) for name in cameras.names]))
    cameras.close()
    return pictures
