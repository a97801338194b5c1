"""Many episodes of one agent in the lockstep cell, one seed each, on every core."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from carp_ros.control.servo import Target
from carp_ros.errors import DeviceError
from carp_ros.evaluation.each_in_process import Lost, each_in_process
from carp_ros.evaluation.policy_agent import Pace, PolicyAgent, see
from carp_ros.evaluation.smoothness import ToolPath
from carp_ros.policies.load import load_policy
from carp_ros.policies.policy import Policy
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
        make_agent: Returns the agent for a cell and its cameras; something that can be pickled,
            as processes share it.
        sees: Whether the agent needs the cameras; without, there may be none.
    """

    rig: Rig
    task: str
    level: str
    timeout_s: float
    make_agent: Callable[[Cell, Cameras | None], Agent]
    sees: bool = False


@dataclass(frozen=True)
class PolicyFigures:
    """How a policy did in one trial.

    Attributes:
        stages: Of each inference, the seconds by stage, on the machine as it was.
        figures: Of each inference, what the policy said of itself.
        followed: How many chunks the servo took.
        refusals: Why each of the others came to nothing.
        reduced: How many lacked details for want of time.
        notes: What was unusual, each once.
        velocity_jumps_m_s: By how much the tool's velocity changed at each switch of chunks.
    """

    stages: tuple[Mapping[str, float], ...]
    figures: tuple[Mapping[str, float], ...]
    followed: int
    refusals: tuple[str, ...]
    reduced: int
    notes: tuple[str, ...]
    velocity_jumps_m_s: tuple[float, ...]


@dataclass(frozen=True)
class Trial:
    """What came of one trial.

    Attributes:
        seed: Of places and looks.
        success: Whether the task was done, judged on the settled end.
        reasons: What was wrong, if not; first of all, why a policy was given up.
        seconds: How long the agent took, in simulated [s].
        timed_out: Whether it was stopped.
        wall_s: How long the simulation took.
        jerk_m_s3: Of the tool, root mean square.
        policy: If the agent was one.
    """

    seed: int
    success: bool
    reasons: tuple[str, ...]
    seconds: float
    timed_out: bool
    wall_s: float
    jerk_m_s3: float
    policy: PolicyFigures | None = None


def demonstrate(cell: Cell, cameras: Cameras | None = None) -> Operator:
    """Return the scripted operator for a cell; it needs no cameras."""
    return Operator(cell.rig, Demonstrator(lambda: cell, cell.rig))


@dataclass(frozen=True)
class FollowPolicy:
    """Makes agents that follow a bundle; each process loads it once.

    Attributes:
        bundle: Its folder.
        task: Which of its tasks.
        replan_s: From one observation to the next; None as the bundle says.
        latency_s: From an observation to its chunk at the servo.
        options: Of its kind of policy, by name.
    """

    bundle: Path
    task: str
    replan_s: float | None = None
    latency_s: float = Pace.latency_s
    options: tuple[tuple[str, int], ...] = ()

    def __call__(self, cell: Cell, cameras: Cameras | None) -> PolicyAgent:
        """Return the agent for a cell."""
        assert cameras is not None, "a policy sees: Conditions.sees must be true"
        policy = self.load()
        policy.reset(self.task)
        return PolicyAgent(
            policy,
            cell.rig.limits,
            lambda: see(cell, cameras, tuple(policy.spec.cameras)),
            lambda: cell.judge().success,
            Pace(self.replan_s, self.latency_s),
        )

    def load(self) -> Policy:
        """Return the policy, loaded once in this process.

        Raises:
            ValueError: If anything in the bundle is not as it should be.
        """
        return _policy(self.bundle, self.task, self.options)


class Stage:
    """A cell, with cameras if needed, in which one process runs one trial after the other.

    Args:
        conditions: What is the same in all trials.
        pictured: Seeds to take pictures of.
    """

    def __init__(self, conditions: Conditions, pictured: frozenset[int] = frozenset()) -> None:
        self._conditions = conditions
        self._pictured = pictured
        visible = conditions.sees or bool(pictured)
        self._cell = Cell(conditions.rig, task_named(conditions.task), visuals=visible)
        self._cameras = Cameras(self._cell) if visible else None

    def run(self, seed: int) -> tuple[Trial, list[Picture]]:
        """Run the trial of a seed; return it, with pictures if they are wanted of this seed."""
        begin_s = time.perf_counter()
        cell, conditions = self._cell, self._conditions
        cell.reset(seed, conditions.level)
        agent = conditions.make_agent(cell, self._cameras)
        path = ToolPath()
        moments = []

        def watch(now_ns: int) -> None:
            moments.append(cell.snapshot(now_ns))

        def record(now_ns: int, target: Target) -> None:
            if path.is_due(now_ns):
                path.take(cell.tcp_pose.position)

        outcome = run_episode(cell, agent, conditions.timeout_s, watch, record)
        given_up = agent.given_up if isinstance(agent, PolicyAgent) else ""
        trial = Trial(
            seed,
            outcome.verdict.success,
            ((given_up,) if given_up else ()) + outcome.verdict.reasons,
            round(outcome.seconds, 3),
            outcome.timed_out,
            round(time.perf_counter() - begin_s, 3),
            round(path.jerk_m_s3(), 3),
            _figures(agent, path) if isinstance(agent, PolicyAgent) else None,
        )
        if seed not in self._pictured:
            return trial, []
        return trial, self._pictures((moments[0], moments[len(moments) // 2], moments[-1]))

    def close(self) -> None:
        """Give the OpenGL context back."""
        if self._cameras:
            self._cameras.close()

    def _pictures(self, moments: Iterable[npt.NDArray[np.void]]) -> list[Picture]:
        assert self._cameras is not None
        pictures = []
        for moment in moments:
            self._cell.restore(moment)
            views = [self._cameras.render(name) for name in self._cameras.names]
            pictures.append(np.vstack(views))
        return pictures


def _refuse(lost: Lost[int]) -> None:
    raise DeviceError(f"the trial of seed {lost.job} came to nothing: {lost.reason}")


def run_trials(
    conditions: Conditions,
    seeds: Iterable[int],
    pictured: Iterable[int] = (),
    workers: int = 1,
    lost: Callable[[Lost[int]], None] = _refuse,
) -> Generator[tuple[Trial, list[Picture]], None, None]:
    """Yield each trial as it ends, in no order, with pictures of those in `pictured`.

    Args:
        conditions: What is the same in all trials.
        seeds: One trial each.
        pictured: Seeds to return pictures of: first, middle and last, the cameras stacked.
        workers: Processes.
        lost: Called with a trial that raised something or whose process died, and what; the others
            go on, unless it raises, as it does by default.

    Raises:
        ValueError: If no trial can begin: the bundle is wrong, say.
        DeviceError: By default, if one came to nothing.
    """
    open_stage = functools.partial(_open_stage, conditions, frozenset(pictured))
    for outcome in each_in_process(open_stage, seeds, workers):
        if isinstance(outcome, Lost):
            lost(outcome)
        else:
            yield outcome


def _open_stage(
    conditions: Conditions, pictured: frozenset[int]
) -> Callable[[int], tuple[Trial, list[Picture]]]:
    """Return what runs a trial in this process: making a cell takes longer than resetting it."""
    cv2.setNumThreads(1)  # one core a worker
    if isinstance(conditions.make_agent, FollowPolicy):
        conditions.make_agent.load()  # one that can't be loaded is no matter of a trial
    return Stage(conditions, pictured).run


@functools.cache
def _policy(bundle: Path, task: str, options: tuple[tuple[str, int], ...]) -> Policy:
    return load_policy(bundle, task, time.perf_counter_ns, options=dict(options))


def _figures(agent: PolicyAgent, path: ToolPath) -> PolicyFigures:
    predictions = agent.predictions
    jumps = path.velocity_jumps_m_s(agent.arrivals_ns)
    return PolicyFigures(
        stages=tuple(prediction.stages for prediction in predictions),
        figures=tuple(prediction.figures for prediction in predictions),
        followed=len(agent.arrivals_ns),
        refusals=tuple(refusal.text for refusal in agent.refusals),
        reduced=sum(prediction.reduced for prediction in predictions),
        notes=tuple(dict.fromkeys(note for p in predictions for note in p.notes)),
        velocity_jumps_m_s=tuple(jumps.tolist()),
    )
