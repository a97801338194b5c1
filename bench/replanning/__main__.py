"""`python -m bench.replanning`: how often and how late a policy may plan."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from bench.markdown import table, write_between_marks
from carp_ros.control.servo import Target
from carp_ros.evaluation.report import heading, success_summary, write_report
from carp_ros.evaluation.smoothness import PERIOD_NS, ToolPath
from carp_ros.evaluation.trials import (
    PolicyAgentFactory,
    Trial,
    TrialSettings,
    run_trials,
    scripted_operator,
)
from carp_ros.inference.bundle import load_bundle
from carp_ros.rig import load_rig
from carp_ros.share import version
from carp_ros.sim.cell import Cell
from carp_ros.sim.lockstep import run_episode
from carp_ros.sim.tasks import task_named
from carp_ros.strict import Between
from carp_ros.system.bringup import bundle_path, rig_path

_HERE = Path(__file__).parent
_EVERY_NS = 200_000_000
_TOLD = {"told": (), "not told": (("committed_steps", 0),)}
"""Options of a policy, by whether it is told what the arm goes on with."""


@dataclass(frozen=True)
class Command:
    """Run a policy with several times between plans and several latencies.

    Attributes:
        what: Run the trials of a policy, measure the demonstrations' paths, or write the tables.
        bundle: The policy, one that can be told what the arm goes on with.
        task: Of the cell.
        trials: For each setting, all with the same seeds.
        seed_start: Seed of the first.
        replan_s: Times between plans.
        latency_s: Times from an observation until its plan is there.
        told: Whether the policy is told what the arm goes on with.
        workers: Number of processes.
        results: Folder of the figures.
    """

    what: tyro.conf.Positional[Literal["run", "demonstrations", "report"]]
    bundle: str = "carp_cup_sim"
    task: str = "cup"
    trials: Annotated[int, Between(1, 10_000)] = 50
    seed_start: Annotated[int, Between(0, 2**31)] = 70_000
    replan_s: tuple[float, ...] = (0.2, 0.4, 0.8)
    latency_s: tuple[float, ...] = (0.0, 0.1, 0.3)
    told: tuple[Literal["told", "not told"], ...] = ("told", "not told")
    workers: int = 2
    results: Path = _HERE / "results"


def main() -> int:
    """Run a command line."""
    command = tyro.cli(Command, prog="python -m bench.replanning", description=__doc__)
    if command.what == "run":
        _run(command)
    elif command.what == "demonstrations":
        _measure_demonstrations(command)
    else:
        _report(command)
    return 0


def _run(command: Command) -> None:
    bundle = load_bundle(bundle_path(command.bundle))
    rig = load_rig(rig_path("ur5e_sim"))
    asked = itertools.product(command.told, command.replan_s, command.latency_s)
    for told, replan_s, latency_s in asked:
        name = f"{bundle.name}_{command.task}_{told.replace(' ', '_')}_{replan_s:g}_{latency_s:g}"
        place = command.results / f"{name}.json"
        if place.exists():
            print(f"{name}: is measured")
            continue
        words = bundle.spec.task_named(command.task, command.task)
        factory = PolicyAgentFactory(bundle.folder, words, replan_s, latency_s, _TOLD[told])
        settings = TrialSettings(rig, command.task, "normal", 40.0, factory, needs_cameras=True)
        seeds = range(command.seed_start, command.seed_start + command.trials)
        trials = [trial for trial, _ in run_trials(settings, seeds, workers=command.workers)]
        row = {
            "bundle": bundle.name,
            "task": command.task,
            "told": told,
            "replan_s": replan_s,
            "latency_s": latency_s,
            "seed_start": command.seed_start,
            **success_summary([trial.success for trial in trials]),
            **_jumps([x for trial in trials for x in _switches(trial)]),
            "refused": sum(len(trial.policy.refusals) for trial in trials if trial.policy),
        }
        write_report(place, _provenance() | row)
        print(f"{name}: {row['successes']} of {row['trials']}, jumps p99 {row['jump_p99_m_s']}")


def _switches(trial: Trial) -> tuple[float, ...]:
    assert trial.policy is not None
    return trial.policy.velocity_jumps_m_s


def _measure_demonstrations(command: Command) -> None:
    cell = Cell(load_rig(rig_path("ur5e_sim")), task_named(command.task), visuals=False)
    jumps: list[float] = []
    for seed in range(command.seed_start, command.seed_start + command.trials):
        cell.reset(seed, "normal")
        path = ToolPath()

        def record(now_ns: int, target: Target, path: ToolPath = path) -> None:
            if path.is_due(now_ns):
                path.take(cell.tcp_pose.position)

        begun_ns = cell.time_ns
        run_episode(cell, scripted_operator(cell), 40.0, record=record)
        lasted_ns = len(path.positions) * PERIOD_NS
        jumps += path.velocity_jumps_m_s(range(begun_ns, begun_ns + lasted_ns, _EVERY_NS)).tolist()
    row = {"task": command.task, "trials": command.trials, "seed_start": command.seed_start}
    row |= _jumps(jumps)
    write_report(command.results / f"demonstrations_{command.task}.json", _provenance() | row)
    print(f"demonstrations of {command.task}: jumps p99 {row['jump_p99_m_s']} m/s")


def _jumps(jumps: list[float]) -> dict[str, float]:
    p50, p99 = np.percentile(jumps, (50, 99)).tolist() if jumps else (0.0, 0.0)
    return {"jump_p50_m_s": round(p50, 4), "jump_p99_m_s": round(p99, 4)}


def _provenance() -> dict[str, Any]:
    command = ["python", "-m", "bench.replanning", *sys.argv[1:]]
    return heading(command, version()) | {"load_average": round(os.getloadavg()[0], 2)}


def _report(command: Command) -> None:
    rows = [json.loads(file.read_text()) for file in sorted(command.results.glob("*.json"))]
    write_between_marks(_HERE / "README.md", "tables", "\n".join(_lines(rows)))


def _lines(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a table for each policy and task, and the demonstrations' jumps."""
    runs = [row for row in rows if "bundle" in row]
    for bundle, task in sorted({(row["bundle"], row["task"]) for row in runs}):
        own = [row for row in runs if (row["bundle"], row["task"]) == (bundle, task)]
        known = {(row["replan_s"], row["latency_s"], row["told"]): row for row in own}
        places = sorted({(row["replan_s"], row["latency_s"]) for row in own})
        yield f"**{bundle}, {task}** (seeds from {own[0]['seed_start']}):"
        yield ""
        heads = ["a plan every", "there after"]
        heads += [f"{told}: {what}" for told in _TOLD for what in ("succeeded", "jumps p50, p99")]
        cells = (
            [f"{replan:g} s", f"{latency:g} s"]
            + [cell for told in _TOLD for cell in _cells(known.get((replan, latency, told)))]
            for replan, latency in places
        )
        yield from table(heads, cells)
        yield ""
    for row in rows:
        if "bundle" not in row:
            yield (
                f"Demonstrations of {row['task']}: jumps p50 {row['jump_p50_m_s']:.3f}, p99"
                f" {row['jump_p99_m_s']:.3f} m/s ({row['trials']} seeds from {row['seed_start']})."
            )


def _cells(row: dict[str, Any] | None) -> list[str]:
    if row is None:
        return ["", ""]
    jumps = f"{row['jump_p50_m_s']:.3f}, {row['jump_p99_m_s']:.3f} m/s"
    return [f"{row['successes']} of {row['trials']}", jumps]


if __name__ == "__main__":
    sys.exit(main())
