"""`carp eval`: how often an agent does a task in the simulated cell."""

from __future__ import annotations

import dataclasses
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from carp_ros.bringup import rig_path
from carp_ros.evaluation.contact_sheet import Strip, write_contact_sheet
from carp_ros.evaluation.policy_agent import Pace
from carp_ros.evaluation.policy_report import policy_summary
from carp_ros.evaluation.report import heading, success_summary, write_report
from carp_ros.evaluation.trials import (
    Conditions,
    FollowPolicy,
    Picture,
    Trial,
    demonstrate,
    run_trials,
)
from carp_ros.inference.bundle import Bundle, load_bundle
from carp_ros.rig import load_rig
from carp_ros.share import version

_MOST_STRIPS = 12


@dataclass(frozen=True)
class EvalCommand:
    """Run an agent many times in the simulated cell and count its successes.

    The cell runs in simulated time without ROS, with the servo, limits and physics of the real-time
    cell; each trial has a seed, which decides where things stand and how they look, so that two
    agents can be measured on the same episodes.

    Attributes:
        agent: Who acts: demonstrator, the scripted operator at a simulated SpaceMouse, or policy,
            that of --bundle. Without: the policy if there is a bundle, else the demonstrator.
        bundle: Folder of the compiled policy.
        task: What to do: cup (put it in the field on the right) or bowl (put it into the pot).
        trials: How many episodes.
        seed_start: Seed of the first; the others follow. Keep the seeds of training out of it.
        level: How much places, colours, light and cameras vary.
        timeout_s: A trial longer than this, in simulated time, is stopped and judged.
        report: Where to write the figures, as JSON, with a row a trial.
        contact_sheet: Where to write a PNG of the first trials' beginnings, middles and ends.
        workers: Processes; 0 takes one a core.
        rig: A rig's file, or the name of one in config/.
        replan_s: The policy observes and plans this often, in simulated time; without: as the
            bundle says.
        latency_s: A plan reaches the servo so much after its observation, in simulated time; give
            what the robot's computer takes.
        last_scale: The policy stops after this scale, from 0 for the coarsest, to see what early
            stopping costs; without: after the finest.
    """

    agent: Literal["demonstrator", "policy"] | None = None
    bundle: Path | None = None
    task: Literal["cup", "bowl"] = "cup"
    trials: int = 50
    seed_start: int = 0
    level: Literal["none", "normal", "hard"] = "normal"
    timeout_s: float = 40.0
    report: Path | None = None
    contact_sheet: Path | None = None
    workers: int = 0
    rig: str = "ur5e_sim"
    replan_s: float | None = None
    latency_s: float = Pace.latency_s
    last_scale: int | None = None


def main(command: EvalCommand) -> int:
    """Run the trials, print each as it ends, and write what was asked for; return 0."""
    if command.trials < 1:
        raise ValueError(f"--trials is {command.trials}; expected at least 1")
    bundle = _bundle(command)
    begin_s = time.monotonic()
    results = _run(command, bundle)
    wall_s = time.monotonic() - begin_s
    trials = [trial for trial, _ in results]
    summary = success_summary([trial.success for trial in trials])
    low, high = summary["interval"]
    agent = bundle.name if bundle else "demonstrator"
    print(
        f"{agent}, {command.task}, {command.level}: {summary['successes']} of"
        f" {summary['trials']} trials succeeded (95 % interval {low:.0%} to {high:.0%}),"
        f" {wall_s:.0f} s"
    )
    if command.report:
        content = _report(command, bundle, trials, summary, wall_s)
        write_report(command.report, content)
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


def _bundle(command: EvalCommand) -> Bundle | None:
    """Return the bundle that is to be measured; None if it is the demonstrator.

    Raises:
        ValueError: If the options contradict each other, or the bundle is none.
    """
    if command.agent == "demonstrator" and command.bundle:
        raise ValueError("--agent demonstrator and --bundle exclude each other; give one")
    if command.agent == "policy" and not command.bundle:
        raise ValueError("--agent policy needs --bundle, the folder of a compiled policy")
    if not command.bundle:
        return None
    if (command.replan_s is not None and command.replan_s <= 0.0) or command.latency_s < 0.0:
        raise ValueError(
            f"--replan-s is {command.replan_s}, --latency-s {command.latency_s}; expected a time"
            " above 0, and one of 0 or more"
        )
    bundle = load_bundle(command.bundle)
    bundle.task_number(command.task)
    bundle.require_rig(load_rig(rig_path(command.rig)))
    count = len(bundle.manifest.scales)
    if command.last_scale is not None and not 0 <= command.last_scale < count:
        raise ValueError(f"--last-scale is {command.last_scale}; expected 0 to {count - 1}")
    return bundle


def _run(command: EvalCommand, bundle: Bundle | None) -> list[tuple[Trial, list[Picture]]]:
    """Run all trials, showing progress; return them in the order of their seeds."""
    conditions = Conditions(
        load_rig(rig_path(command.rig)),
        command.task,
        command.level,
        command.timeout_s,
        FollowPolicy(
            bundle.folder, command.task, command.replan_s, command.latency_s, command.last_scale
        )
        if bundle
        else demonstrate,
        sees=bundle is not None,
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
    command: EvalCommand,
    bundle: Bundle | None,
    trials: list[Trial],
    summary: dict[str, Any],
    wall_s: float,
) -> dict[str, Any]:
    policy = {}
    if bundle:
        policy = {
            "bundle": {"name": bundle.name, "sha256": bundle.sha256},
            "replan_s": command.replan_s or bundle.manifest.replan_s,
            "latency_s": command.latency_s,
            "last_scale": command.last_scale,
            **policy_summary([trial.policy for trial in trials if trial.policy]),
        }
    return {
        **heading(["carp", *sys.argv[1:]], version()),
        "agent": "policy" if bundle else "demonstrator",
        "task": command.task,
        "level": command.level,
        **summary,
        "wall_s": round(wall_s, 1),
        "jerk_m_s3": round(statistics.fmean(trial.jerk_m_s3 for trial in trials), 2),
        **policy,
        "rows": [_row(trial) for trial in trials],
    }


def _row(trial: Trial) -> dict[str, Any]:
    """Return a trial without its policy's single inferences, of which there are hundreds."""
    row = dataclasses.asdict(trial)
    figures = row.pop("policy")
    if figures:
        names = ("followed", "coarse", "refusals", "out_of_range")
        row |= {name: figures[name] for name in names}
    return row
