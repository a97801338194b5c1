"""Runs many trials of one agent in the lockstep cell, one seed each, on every core."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from carp_ros.control.servo import Target
from carp_ros.errors import DeviceError
from carp_ros.evaluation.each_in_process import LostJob, each_in_process
from carp_ros.evaluation.policy_agent import PolicyAgent, PolicyTiming, observe
from carp_ros.evaluation.smoothness import ToolPath
from carp_ros.policies.load import load_policy
from carp_ros.policies.policy import Policy
from carp_ros.rig import Rig
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.sim.demonstrator import Demonstrator
from carp_ros.sim.lockstep import Agent, Operator, run_episode
from carp_ros.sim.sentences import Sentences, instruction_of
from carp_ros.sim.tasks import task_named

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TrialSettings:
    """The settings shared by all trials.

    Attributes:
        rig: The simulated rig.
        task: Of the cell.
        level: Randomisation: `none`, `normal` or `hard`.
        timeout_s: A trial that takes longer, in simulated time, is stopped and judged.
        make_agent: Returns the agent for a cell and its cameras; must be picklable, as it is sent
            to worker processes.
        needs_cameras: Whether the agent needs the cameras; if not, there may be none.
    """

    rig: Rig
    task: str
    level: str
    timeout_s: float
    make_agent: Callable[[Cell, Cameras | None], Agent]
    needs_cameras: bool = False


@dataclass(frozen=True)
class PolicyFigures:
    """A policy's figures in one trial.

    Attributes:
        stages: Each inference's measured seconds by stage.
        figures: Each inference's figures, as reported by the policy.
        accepted: Number of chunks that the servo accepted.
        refusals: Why the others were refused.
        reduced: Number of chunks with reduced detail because the deadline was near.
        notes: Unusual events, each once.
        velocity_jumps_m_s: Change of the tool's velocity at each switch of chunks.
    """

    stages: tuple[Mapping[str, float], ...]
    figures: tuple[Mapping[str, float], ...]
    accepted: int
    refusals: tuple[str, ...]
    reduced: int
    notes: tuple[str, ...]
    velocity_jumps_m_s: tuple[float, ...]


@dataclass(frozen=True)
class Trial:
    """The result of one trial.

    Attributes:
        seed: Seed of positions and appearance.
        success: Whether the task succeeded, judged after the scene has settled.
        reasons: Why it failed; first, why the policy was given up, if it was.
        seconds: Duration in simulated [s].
        timed_out: Whether the trial was stopped at its timeout.
        wall_s: Wall time of the simulation.
        jerk_m_s3: Root mean square jerk of the tool.
        policy: The policy's figures, if the agent was a policy.
    """

    seed: int
    success: bool
    reasons: tuple[str, ...]
    seconds: float
    timed_out: bool
    wall_s: float
    jerk_m_s3: float
    policy: PolicyFigures | None = None


def scripted_operator(cell: Cell, cameras: Cameras | None = None) -> Operator:
    """Return the scripted operator for a cell; the cameras are not used."""
    return Operator(cell.rig, Demonstrator(lambda: cell, cell.rig))


@dataclass(frozen=True)
class PolicyAgentFactory:
    """Makes agents that run a bundle's policy; each process loads it once.

    Attributes:
        bundle: The bundle's folder.
        task: The task, one of the bundle's.
        replan_s: Time from one observation to the next; None: the bundle's.
        latency_s: Time from an observation until its chunk reaches the servo.
        options: Options of its kind of policy, by name.
        sentences: In which it is asked, see `sim.sentences`; a policy that takes no instruction
            is told the task alone.
        asked: What it is asked for: the seed's goal, the other one, or nothing.
    """

    bundle: Path
    task: str
    replan_s: float | None = None
    latency_s: float = PolicyTiming.latency_s
    options: tuple[tuple[str, int], ...] = ()
    sentences: Sentences = "plain"
    asked: Literal["goal", "other", "nothing"] = "goal"
    _loaded: dict[str, Policy] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __call__(self, cell: Cell, cameras: Cameras | None) -> PolicyAgent:
        """Make the agent for a cell."""
        assert cameras is not None, (
            "a policy needs images: TrialSettings.needs_cameras must be true"
        )
        policy = self.load(cell.rig)
        if self.asked == "other":
            cell.ask(cell.staging.goals[-1])
        policy.reset(self.task, self._words(cell))
        feels = policy.spec.state.has_wrench
        cell.measures_wrench = cell.measures_wrench or feels
        return PolicyAgent(
            policy,
            cell.rig.limits,
            lambda: observe(cell, cameras, tuple(policy.spec.cameras), wrench=feels),
            lambda: cell.judge().success,
            PolicyTiming(self.replan_s, self.latency_s),
        )

    def _words(self, cell: Cell) -> str:
        if self.asked == "nothing":
            return ""
        return instruction_of(cell.task, cell.goal, self.sentences, cell.seed)

    def load(self, rig: Rig) -> Policy:
        """Return the policy for a rig, loaded once in this process.

        Raises:
            ValueError: If the bundle is not valid.
        """
        known = rig.file.sha256
        if known not in self._loaded:
            self._loaded[known] = load_policy(
                self.bundle, self.task, time.perf_counter_ns, options=dict(self.options), rig=rig
            )
        return self._loaded[known]


class TrialRunner:
    """A cell, with cameras if needed, in which one process runs one trial after another.

    Args:
        settings: The settings shared by all trials.
        image_seeds: Seeds of the trials to return images of.
    """

    def __init__(self, settings: TrialSettings, image_seeds: frozenset[int] = frozenset()) -> None:
        self._settings = settings
        self._image_seeds = image_seeds
        visible = settings.needs_cameras or bool(image_seeds)
        self._cell = Cell(settings.rig, task_named(settings.task), visuals=visible)
        self._cameras = Cameras(self._cell) if visible else None

    def run(self, seed: int) -> tuple[Trial, list[Image]]:
        """Run the trial of a seed; return its result, and images if it is in `image_seeds`."""
        begin_s = time.perf_counter()
        cell, settings = self._cell, self._settings
        cell.reset(seed, settings.level)
        agent = settings.make_agent(cell, self._cameras)
        path = ToolPath()
        moments = []

        def watch(now_ns: int) -> None:
            moments.append(cell.snapshot(now_ns))

        def record(now_ns: int, target: Target) -> None:
            if path.is_due(now_ns):
                path.take(cell.tcp_pose.position)

        outcome = run_episode(cell, agent, settings.timeout_s, watch, record)
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
        if seed not in self._image_seeds:
            return trial, []
        return trial, self._images((moments[0], moments[len(moments) // 2], moments[-1]))

    def close(self) -> None:
        """Release the OpenGL context."""
        if self._cameras:
            self._cameras.close()

    def _images(self, moments: Iterable[npt.NDArray[np.void]]) -> list[Image]:
        assert self._cameras is not None
        images = []
        for moment in moments:
            self._cell.restore(moment)
            views = [self._cameras.render(name) for name in self._cameras.names]
            images.append(np.vstack(views))
        return images


def _refuse(lost: LostJob[int]) -> None:
    raise DeviceError(f"the trial of seed {lost.job} was aborted: {lost.reason}")


def run_trials(
    settings: TrialSettings,
    seeds: Iterable[int],
    image_seeds: Iterable[int] = (),
    workers: int = 1,
    on_lost: Callable[[LostJob[int]], None] = _refuse,
) -> Generator[tuple[Trial, list[Image]], None, None]:
    """Yield each trial as it ends, in any order, with images of those in `image_seeds`.

    Args:
        settings: The settings shared by all trials.
        seeds: One trial each.
        image_seeds: Seeds to return images of: first, middle and last, with the cameras stacked.
        workers: Number of processes.
        on_lost: Called with each trial that raised an error or whose process died, and the reason.
            If it returns, the other trials continue; by default it raises.

    Raises:
        ValueError: If no trial can start, for example because the bundle is not valid.
        DeviceError: By default, if a trial was aborted.
    """
    open_stage = functools.partial(_open_runner, settings, frozenset(image_seeds))
    for outcome in each_in_process(open_stage, seeds, workers):
        if isinstance(outcome, LostJob):
            on_lost(outcome)
        else:
            yield outcome


def _open_runner(
    settings: TrialSettings, image_seeds: frozenset[int]
) -> Callable[[int], tuple[Trial, list[Image]]]:
    """Return the function that runs trials in this process; the cell is created once and reused."""
    cv2.setNumThreads(1)  # one core per worker
    if isinstance(settings.make_agent, PolicyAgentFactory):
        settings.make_agent.load(
            settings.rig
        )  # fail before the first trial if the bundle is not valid
    return TrialRunner(settings, image_seeds).run


def _figures(agent: PolicyAgent, path: ToolPath) -> PolicyFigures:
    predictions = agent.predictions
    jumps = path.velocity_jumps_m_s(agent.arrivals_ns)
    return PolicyFigures(
        stages=tuple(prediction.stages for prediction in predictions),
        figures=tuple(prediction.figures for prediction in predictions),
        accepted=len(agent.arrivals_ns),
        refusals=tuple(refusal.text for refusal in agent.refusals),
        reduced=sum(prediction.reduced for prediction in predictions),
        notes=tuple(dict.fromkeys(note for p in predictions for note in p.notes)),
        velocity_jumps_m_s=tuple(jumps.tolist()),
    )
