"""`carp eval`: how often an agent does a task in the simulated cell."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from carp_ros.bringup import rig_path
from carp_ros.evaluation.contact_sheet import Strip, write_contact_sheet
from carp_ros.evaluation.report import heading, success_summary, write_report
from carp_ros.evaluation.trials import Conditions, Picture, Trial, demonstrate, run_trials
from carp_ros.rig import load_rig
from carp_ros.share import version

_AGENTS = {"demonstrator": demonstrate}
_MOST_STRIPS = 12


@dataclass(frozen=True)
class EvalCommand:
    """Run an agent many times in the simulated cell and count its successes.

    The cell runs in simulated time without ROS, with the servo, limits and physics of the real-time
    cell; each trial has a seed, which decides where things stand and how they look, so that two
    agents can be measured on the same episodes.

    Attributes:
        agent: Who acts: demonstrator, the scripted operator at a simulated SpaceMouse.
        task: What to do: cup (put it in the field on the right) or bowl (put it into the pot).
        trials: How many episodes.
        seed_start: Seed of the first; the others follow. Keep the seeds of training out of it.
        level: How much places, colours, light and cameras vary.
        timeout_s: A trial longer than this, in simulated time, is stopped and judged.
        report: Where to write the figures, as JSON, with a row a trial.
        contact_sheet: Where to write a PNG of the first trials' beginnings, middles and ends.
        workers: Processes; 0 takes one a core.
        rig: A rig's file, or the name of one in config/.
    """

    agent: Literal["demonstrator"] = "demonstrator"
    task: Literal["cup", "bowl"] = "cup"
    trials: int = 50
    seed_start: int = 0
    level: Literal["none", "normal", "hard"] = "normal"
    timeout_s: float = 40.0
    report: Path | None = None
    contact_sheet: Path | None = None
    workers: int = 0
    rig: str = "ur5e_sim"


def main(command: EvalCommand) -> int:
    """Run the trials, print each as it ends, and write what was asked for; return 0."""
    if command.trials < 1:
        raise ValueError(f"--trials is {command.trials}; expected at least 1")
    begin_s = time.monotonic()
    results = _run(command)
    wall_s = time.monotonic() - begin_s
    trials = [trial for trial, _ in results]
    summary = success_summary([trial.success for trial in trials])
    low, high = summary["interval"]
    print(
        f"{command.agent}, {command.task}, {command.level}: {summary['successes']} of"
        f" {summary['trials']} trials succeeded (95 % interval {low:.0%} to {high:.0%}),"
        f" {wall_s:.0f} s"
    )
    if command.report:
        write_report(command.report, _report(command, trials, summary, wall_s))
        print(f"report: {command.report}")
    if command.contact_sheet:
        strips = [
            Strip(caption(command, trial), trial.success, pictures)
            for trial, pictures in results
            if pictures
        ]
        write_contact_sheet(command.contact_sheet, strips)
        print(f"contact sheet: {command.contact_sheet}")
    return 0


def caption(command: EvalCommand, trial: Trial) -> str:
    """Return one trial in a line, why it failed included."""
    reasons = f": {'; '.join(trial.reasons)}" if trial.reasons else ""
    ended = "stopped after" if trial.timed_out else "took"
    state = "done" if trial.success else "failed"
    return f"{command.task}, seed {trial.seed}, {ended} {trial.seconds:.1f} s, {state}{reasons}"


def _run(command: EvalCommand) -> list[tuple[Trial, list[Picture]]]:
    """Run all trials, showing progress; return them in the order of their seeds."""
    conditions = Conditions(
        load_rig(rig_path(command.rig)),
        command.task,
        command.level,
        command.timeout_s,
        _AGENTS[command.agent],
    )
    seeds = range(command.seed_start, command.seed_start + command.trials)
    pictured = seeds[:_MOST_STRIPS] if command.contact_sheet else ()
    workers = min(command.workers or len(os.sched_getaffinity(0)), command.trials)
    results = []
    for trial, pictures in run_trials(conditions, seeds, pictured, workers):
        results.append((trial, pictures))
        print(f"[{len(results):>3}/{command.trials}] {caption(command, trial)}", flush=True)
    return sorted(results, key=lambda result: result[0].seed)


def _report(
    command: EvalCommand, trials: list[Trial], summary: dict[str, Any], wall_s: float
) -> dict[str, Any]:
    return {
        **heading(["carp", *sys.argv[1:]], version()),
        "agent": command.agent,
        "task": command.task,
        "level": command.level,
        **summary,
        "wall_s": round(wall_s, 1),
        "rows": [dataclasses.asdict(trial) for trial in trials],
    }
