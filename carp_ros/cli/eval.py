"""`carp eval`: measures an agent's success rate in the simulated cell."""

from __future__ import annotations

import dataclasses
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from carp_ros.cli.main import EXIT_INTERRUPTED
from carp_ros.cli.options import Count, Seconds, Seed, Text, Workers
from carp_ros.evaluation.contact_sheet import Strip, write_contact_sheet
from carp_ros.evaluation.each_in_process import LostJob
from carp_ros.evaluation.policy_agent import PolicyTiming
from carp_ros.evaluation.policy_report import policy_summary
from carp_ros.evaluation.report import heading, require_writable, success_summary, write_report
from carp_ros.evaluation.trials import (
    Image,
    PolicyAgentFactory,
    Trial,
    TrialSettings,
    run_trials,
    scripted_operator,
)
from carp_ros.inference.bundle import Bundle, load_bundle
from carp_ros.rig import load_rig
from carp_ros.rig_sections import TaskName
from carp_ros.share import version
from carp_ros.sim.tasks import task_named
from carp_ros.strict import Between, Name, Sized
from carp_ros.system.bringup import bundle_path, rig_path

_MOST_STRIPS = 12
_MOST_TRIALS, _MOST_WORKERS = 1_000_000, 256
_MOST_SEED = 2**32 - 1


@dataclass(frozen=True)
class EvalCommand:
    """Run an agent many times in the simulated cell and count its successes.

    The cell runs in lockstep (simulated time) without ROS, with the servo, limits and physics of
    the real-time cell. Each trial's seed decides positions and appearance, so that two agents can
    be compared on the same episodes.

    Attributes:
        agent: Who acts: demonstrator, the scripted operator with a simulated SpaceMouse, or policy,
            the one of --bundle. Default: the policy if there is a bundle, else the demonstrator.
        bundle: The compiled policy's folder, or its name in models/.
        task: The task: cup (put it in the field on the right) or bowl (put it into the pot); or
            one where the instruction decides: two_cups, unseen_cups (of pairs of colours in no
            demonstration), two_fields, cup_or_bowl.
        sentences: The words in which a policy is asked: plain, varied (as in demonstrations of
            `carp record --sentences varied`) or unseen (in none of those).
        asked: What a policy is asked for, and judged by: the seed's goal, the other one that the
            scene allows, or nothing (an empty instruction, judged by the seed's goal: chance).
        trials: Number of episodes.
        seed_start: Seed of the first trial; the others count up from it. Do not use seeds of the
            training data.
        level: How much positions, colours, light and cameras vary.
        timeout_s: A trial longer than this, in simulated time, is stopped and judged.
        report: JSON file for the figures, with a row per trial.
        contact_sheet: PNG file for the first trials' first, middle and last images.
        workers: Number of processes; 0 takes one per core.
        rig: A rig's file, or the name of one in config/.
        replan_s: The execution horizon: time between plans, in simulated time; default: the
            bundle's.
        latency_s: Latency from an observation until its plan reaches the servo, in simulated time;
            use the value of the robot's computer.
        options: Options of the bundle's kind of policy, such as `last_scale 1`: a carp policy then
            stops after that scale (0 is the coarsest), to measure the cost of early stopping.
    """

    agent: Literal["demonstrator", "policy"] | None = None
    bundle: Text | None = None
    task: TaskName = "cup"
    sentences: Literal["plain", "varied", "unseen"] = "plain"
    asked: Literal["goal", "other", "nothing"] = "goal"
    trials: Count = 50
    seed_start: Seed = 0
    level: Literal["none", "normal", "hard"] = "normal"
    timeout_s: Seconds = 40.0
    report: Path | None = None
    contact_sheet: Path | None = None
    workers: Workers = 0
    rig: Text = "ur5e_sim"
    replan_s: Annotated[float, Between(0.01, 60.0)] | None = None
    latency_s: Annotated[float, Between(0.0, 10.0)] = PolicyTiming.latency_s
    options: Annotated[dict[Name, Annotated[int, Between(0, 1000)]], Sized(0, 8)] = field(
        default_factory=dict
    )


@dataclass
class _Done:
    """The results of all trials, or of those before an early stop.

    Attributes:
        results: The completed trials, sorted by seed.
        lost: Trials that raised an error or whose process died.
        stopped: Why not all trials were run; empty if they were.
        code: The exit code.
    """

    results: list[tuple[Trial, list[Image]]] = field(default_factory=list)
    lost: list[LostJob[int]] = field(default_factory=list)
    stopped: str = ""
    code: int = 0


def main(command: EvalCommand) -> int:
    """Run the trials, print each as it ends, and write the requested files.

    Returns:
        0; 1 if a trial was lost; 130 after Ctrl-C. Completed trials are reported in any case.
    """
    _check(command)
    bundle = _bundle(command)
    begin_s = time.monotonic()
    done = _run(command, bundle)
    wall_s = time.monotonic() - begin_s
    trials = [trial for trial, _ in done.results]
    if done.stopped:
        print(f"stopped after {len(trials)} of {command.trials} trials: {done.stopped}")
    if not trials:
        print("no trial ended: there is nothing to report")
        return done.code or 1
    summary = success_summary([trial.success for trial in trials])
    low, high = summary["interval"]
    agent = bundle.name if bundle else "demonstrator"
    print(
        f"{agent}, {command.task}, {command.level}: {summary['successes']} of"
        f" {summary['trials']} trials succeeded (95 % interval {low:.0%} to {high:.0%}),"
        f" {wall_s:.0f} s"
    )
    if command.report:
        content = _report(command, bundle, done, summary, wall_s)
        write_report(command.report, content)
        print(f"report: {command.report}")
    if command.contact_sheet:
        strips = [
            Strip(caption(command, trial), trial.success, images)
            for trial, images in done.results
            if images
        ]
        if strips:
            write_contact_sheet(command.contact_sheet, strips)
            print(f"contact sheet: {command.contact_sheet}")
    return done.code


def _check(command: EvalCommand) -> None:
    """Check the options before hours of work.

    Raises:
        ValueError: If an option is out of its range, or a file can't be written.
    """
    last = _MOST_SEED - command.trials + 1
    for name, value, least, most in (
        ("trials", command.trials, 1, _MOST_TRIALS),
        ("seed-start", command.seed_start, 0, last),
        ("workers", command.workers, 0, _MOST_WORKERS),
        ("timeout-s", command.timeout_s, 0.1, 10_000.0),
        ("replan-s", command.replan_s, 0.01, 100.0),
        ("latency-s", command.latency_s, 0.0, 10.0),
    ):
        if value is not None and not least <= value <= most:
            at_most = "" if value < least else f", {most} at most"
            raise ValueError(f"--{name} is {value}; expected at least {least}{at_most}")
    require_writable(command.report)
    require_writable(command.contact_sheet, "contact sheet")


def caption(command: EvalCommand, trial: Trial) -> str:
    """Describe one trial in a line, with the reasons if it failed."""
    reasons = f": {'; '.join(trial.reasons)}" if trial.reasons else ""
    ended = "stopped after" if trial.timed_out else "took"
    state = "done" if trial.success else "failed"
    return f"{command.task}, seed {trial.seed}, {ended} {trial.seconds:.1f} s, {state}{reasons}"


def _bundle(command: EvalCommand) -> Bundle | None:
    """Return the bundle to measure; None for the demonstrator.

    Raises:
        ValueError: If the options contradict each other, or the bundle is not valid.
    """
    if command.agent == "demonstrator" and command.bundle:
        raise ValueError("--agent demonstrator and --bundle exclude each other; give one")
    if command.agent == "policy" and not command.bundle:
        raise ValueError("--agent policy needs --bundle, the folder of a compiled policy")
    if not command.bundle:
        return None
    bundle = load_bundle(bundle_path(command.bundle))
    _task_of(bundle, command)
    bundle.require_rig(load_rig(rig_path(command.rig)))
    return bundle


def _task_of(bundle: Bundle, command: EvalCommand) -> str:
    """Return what the bundle calls the task, which may be its instruction.

    Raises:
        ValueError: If it was not trained for the task.
    """
    return bundle.spec.task_named(command.task, task_named(command.task).instruction)


def _run(command: EvalCommand, bundle: Bundle | None) -> _Done:
    """Run the trials, showing progress.

    Raises:
        ValueError: If no trial can start.
    """
    settings = TrialSettings(
        load_rig(rig_path(command.rig)),
        command.task,
        command.level,
        command.timeout_s,
        PolicyAgentFactory(
            bundle.folder,
            _task_of(bundle, command),
            command.replan_s,
            command.latency_s,
            tuple(sorted(command.options.items())),
            command.sentences,
            command.asked,
        )
        if bundle
        else scripted_operator,
        needs_cameras=bundle is not None,
    )
    seeds = range(command.seed_start, command.seed_start + command.trials)
    image_seeds = seeds[:_MOST_STRIPS] if command.contact_sheet else ()
    workers = min(command.workers or len(os.sched_getaffinity(0)), command.trials)
    done = _Done()

    def lose(lost: LostJob[int]) -> None:
        done.lost.append(lost)
        print(f"{command.task}, seed {lost.job}, was aborted: {lost.reason}", flush=True)

    running = run_trials(settings, seeds, image_seeds, workers, lose)
    try:
        for trial, images in running:
            done.results.append((trial, images))
            count = len(done.results) + len(done.lost)
            print(f"[{count:>3}/{command.trials}] {caption(command, trial)}", flush=True)
    except KeyboardInterrupt:
        done.stopped, done.code = "interrupted", EXIT_INTERRUPTED
    except ValueError as error:
        if not done.results:
            raise
        done.stopped, done.code = str(error), 1
    finally:
        running.close()
    done.code = done.code or (1 if done.lost else 0)
    done.results.sort(key=lambda result: result[0].seed)
    return done


def _report(
    command: EvalCommand,
    bundle: Bundle | None,
    done: _Done,
    summary: dict[str, Any],
    wall_s: float,
) -> dict[str, Any]:
    policy = {}
    trials = [trial for trial, _ in done.results]
    if bundle:
        policy = {
            "bundle": {"name": bundle.name, "sha256": bundle.sha256},
            "replan_s": command.replan_s or bundle.spec.replan_s,
            "latency_s": command.latency_s,
            "options": command.options,
            **policy_summary([trial.policy for trial in trials if trial.policy]),
        }
    return {
        **heading(["carp", *sys.argv[1:]], version()),
        "agent": "policy" if bundle else "demonstrator",
        "task": command.task,
        "sentences": command.sentences,
        "asked": command.asked,
        "level": command.level,
        "calibration": _calibration(command),
        **summary,
        "asked_for": command.trials,
        "stopped": done.stopped,
        "lost": [{"seed": lost.job, "reason": lost.reason} for lost in done.lost],
        "wall_s": round(wall_s, 1),
        "jerk_m_s3": round(statistics.fmean(trial.jerk_m_s3 for trial in trials), 2),
        **policy,
        "rows": [_row(trial) for trial in trials],
    }


def _calibration(command: EvalCommand) -> dict[str, Any]:
    """Return what was calibrated of the rig, with its day, and the latencies in force."""
    rig = load_rig(rig_path(command.rig))
    return {
        "measured": rig.calibrated.dates,
        "tool_m": list(rig.tool.position_m),
        "camera_latency_s": {name: camera.latency_s for name, camera in rig.cameras.items()},
        "lead_s": {
            "action": rig.latency.lead.action_ns * 1e-9,
            "gripper": rig.latency.lead.gripper_ns * 1e-9,
        },
    }


def _row(trial: Trial) -> dict[str, Any]:
    """Return a trial's row without the figures of its hundreds of single inferences."""
    row = dataclasses.asdict(trial)
    figures = row.pop("policy")
    if figures:
        row["followed"] = figures["accepted"]
        row |= {name: figures[name] for name in ("reduced", "refusals", "notes")}
    return row
