"""`carp demo`: runs the whole simulated workstation in real time over ROS 2."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from carp_ros.cli.options import Count, Seconds, Seed, Text
from carp_ros.cli.trial_table import header, row
from carp_ros.console.node_log import NodeLog
from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import Bundle, load_bundle
from carp_ros.processes.ros_environment import enter
from carp_ros.rig import Rig
from carp_ros.rig_sections import TaskName
from carp_ros.system.bringup import (
    READY_WITHIN_S,
    bundle_path,
    describe,
    rig_path,
    shipped_bundle,
    simulated_rig,
)
from carp_ros.system.running_system import RunningSystem

if TYPE_CHECKING:
    from carp_ros.clients.trial_node import LiveTrial, TrialNode
    from carp_ros.evaluation.contact_sheet import Strip

_TRIALS = {"policy": 5, "demonstrator": 3}
_ATTEMPTS = 3  # attempts at a trial that is stopped before the arm moves
_SEEDS_TRIED = 1000  # for scenes that allow an instruction
_FEW_IMAGES = 0.9  # share of those expected, below which it is said


@dataclass(frozen=True)
class DemoCommand:
    """Start a simulated cell and let a policy, or the scripted operator, do a task.

    Everything that drives a real cell runs here, as processes over ROS 2: two cameras, the policy
    or the SpaceMouse's driver, limits, inverse kinematics, a 500 Hz servo, and the robot's own
    client library, connected to an emulated controller. Ends with a table, a contact sheet and a
    report.

    Attributes:
        task: The task: cup or bowl; or one where the instruction decides, for a policy that takes
            any: two_cups, unseen_cups, two_fields, cup_or_bowl.
        instruction: What to do, in words, such as "put the blue cup on the green field": among the
            tasks and seeds those are chosen where it is possible.
        agent: Who acts: policy or demonstrator, the scripted operator. Default: the policy if
            --bundle names one or the package has one for the task, else the demonstrator.
        bundle: The compiled policy's folder, or its name in models/.
        trials: Number of episodes; default: 5 for a policy, 3 for the demonstrator.
        seed_start: Seed of the first episode; the others count up from it. The package's own
            policies were trained on seeds below 1000.
        timeout_s: An episode longer than this is stopped and judged.
        contact_sheet: PNG file for the first, middle and last images of each episode.
        report: JSON file for the figures, with a row per trial.
        rig: A simulated rig's file, or the name of one in config/.
        verbose: Show the nodes' output.
    """

    task: TaskName | None = None
    instruction: Text = ""
    agent: Literal["demonstrator", "policy"] | None = None
    bundle: Text = ""
    trials: Count | None = None
    seed_start: Seed = 10000
    timeout_s: Seconds = 40.0
    contact_sheet: Path = Path("out/demo.png")
    report: Path = Path("out/demo.json")
    rig: Text = "ur5e_sim"
    verbose: bool = False


def main(command: DemoCommand) -> int:
    """Run the demo; return 0 if every trial succeeded."""
    enter()
    rig = simulated_rig(rig_path(command.rig))
    task, seeds = planned(command)
    command = dataclasses.replace(command, task=task)
    bundle = chosen_bundle(command, rig)
    if seeds is None:
        count = command.trials or _TRIALS["policy" if bundle else "demonstrator"]
        seeds = range(command.seed_start, command.seed_start + count)
    begin_s = time.monotonic()
    if bundle:
        folder = str(bundle.folder)
        nodes = describe(rig, "policy", task=task, bundle=folder)
    else:
        nodes = describe(rig, "demonstrate", task=task)
    log = NodeLog(verbose=command.verbose)
    print(f"bringing up {rig.name}: {', '.join(node.name for node in nodes)}", flush=True)
    trials: list[LiveTrial] = []
    strips: list[Strip] = []
    try:
        with RunningSystem(nodes, log) as system:
            system.wait_until_ready(READY_WITHIN_S)
            print(f"up after {time.monotonic() - begin_s:.1f} s", flush=True)
            who = f"policy {bundle.name}" if bundle else "the scripted operator"
            what = command.instruction or command.task
            print(f"{who} does {len(seeds)} trials: {what}", flush=True)
            _conduct_all(command, rig, bundle, seeds, trials, strips)
    except Exception:  # not Ctrl-C, which is no failure
        log.replay()
        raise
    finally:
        if trials:
            _finish(command, bundle, trials, strips, time.monotonic() - begin_s)
    return 0 if all(trial.success for trial in trials) else 1


def planned(command: DemoCommand) -> tuple[TaskName, Sequence[int] | None]:
    """Return the task, and seeds whose scenes allow the instruction if there is one.

    Raises:
        ValueError: If no trial is asked for, or no scene allows the instruction.
    """
    if command.trials is not None and command.trials < 1:
        raise ValueError(f"--trials is {command.trials}; expected at least 1")
    if not command.instruction:
        return command.task or "cup", None
    from carp_ros.sim.sentences import allows
    from carp_ros.sim.tasks import TASKS

    count = command.trials or _TRIALS["policy"]
    names: tuple[TaskName, ...] = (command.task,) if command.task else get_args(TaskName)
    for name in names:
        tried = range(command.seed_start, command.seed_start + _SEEDS_TRIED)
        fitting = (seed for seed in tried if allows(TASKS[name], seed, command.instruction))
        if len(seeds := list(islice(fitting, count))) == count:
            return name, seeds
    where = f"task {command.task}" if command.task else "the simulated cell"
    raise ValueError(
        f"--instruction is {command.instruction!r}; expected an object and a place of {where}, such"
        ' as "put the red cup on the green field" or "put the bowl into the pot"'
    )


def chosen_bundle(command: DemoCommand, rig: Rig) -> Bundle | None:
    """Return the bundle of the acting policy; None for the demonstrator.

    Without an option it is the package's own for the task on this rig, if there is one.

    Raises:
        ValueError: If the options contradict each other, or a bundle is not valid.
    """
    if command.agent == "demonstrator":
        if command.bundle:
            raise ValueError("--agent demonstrator and --bundle exclude each other; give one")
        return None
    if command.bundle:
        return load_bundle(bundle_path(command.bundle))
    task = command.task or "cup"
    shipped = shipped_bundle(task, rig)
    if shipped is None and command.agent == "policy":
        raise ValueError(
            f"--agent policy needs --bundle: no policy for {task} on {rig.name} comes with"
            " this version"
        )
    return shipped


def _conduct_all(
    command: DemoCommand,
    rig: Rig,
    bundle: Bundle | None,
    seeds: Sequence[int],
    trials: list[LiveTrial],
    strips: list[Strip],
) -> None:
    """Run the trials and print a row of the table for each."""
    from carp_ros.clients.trial_agents import OperatorAgent, PolicyNodeAgent
    from carp_ros.clients.trial_node import trial_node  # after `enter`
    from carp_ros.evaluation.contact_sheet import Strip

    print(header(list(rig.cameras), policy=bundle is not None), flush=True)
    with trial_node(rig, PolicyNodeAgent if bundle else OperatorAgent) as node:
        node.set_parameters_of("cell_node", instruction=command.instruction)
        for number, seed in enumerate(seeds):
            trial, images = _conduct(node, command, number, seed)
            trials.append(trial)
            if images:
                caption = f"{command.task}, seed {trial.seed}, {trial.seconds:.1f} s"
                caption += f": {trial.reasons}" if trial.reasons else ""
                strips.append(Strip(caption, trial.success, images))
            print(row(number, trial), flush=True)


def _conduct(
    node: TrialNode, command: DemoCommand, number: int, seed: int
) -> tuple[LiveTrial, list[Any]]:
    """Run one trial; on a terminal, show its progress on one line.

    A stop of the arm fails the trial, not the demo: the next trial starts with a reset, as a person
    would do. A stop before the arm has moved, such as a late image on a busy machine, is printed,
    and the trial starts again.
    """
    from carp_ros.clients.trial_node import NotStartedError, stopped_trial

    def progress(text: str) -> None:
        if sys.stdout.isatty():
            print(f"\r{number + 1:>5}   {text:<40}", end="\r", flush=True)

    reason = ""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            node.prepare()
            trial, images = node.conduct(seed, command.timeout_s, progress)
            return dataclasses.replace(trial, attempts=attempt), images
        except NotStartedError as error:
            reason = str(error)
            print(f"{number + 1:>5}   before the arm moved, {reason}", flush=True)
        except DeviceError as error:
            return stopped_trial(seed, str(error), attempt), []
    return stopped_trial(seed, reason, _ATTEMPTS), []


def _finish(
    command: DemoCommand,
    bundle: Bundle | None,
    trials: list[LiveTrial],
    strips: list[Strip],
    wall_s: float,
) -> None:
    """Print the summary and write the contact sheet and the report."""
    from carp_ros.evaluation.contact_sheet import write_contact_sheet
    from carp_ros.evaluation.report import heading, success_summary, write_report
    from carp_ros.share import version

    summary = success_summary([trial.success for trial in trials])
    low, high = summary["interval"]
    print(
        f"{summary['successes']} of {summary['trials']} trials succeeded (95 % interval"
        f" {low:.0%} to {high:.0%}), {wall_s:.0f} s in all"
    )
    streams = [stream for trial in trials for stream in trial.cameras.values()]
    expected = sum(stream.expected for stream in streams)
    drawn = sum(stream.received for stream in streams) / max(1, expected)
    if expected and drawn < _FEW_IMAGES:
        print(f"this machine drew {drawn:.0%} of the images that the rig asks for")
    if strips:
        write_contact_sheet(command.contact_sheet, strips)
        print(f"contact sheet: {command.contact_sheet}")
    write_report(
        command.report,
        {
            **heading(["carp", *sys.argv[1:]], version()),
            "agent": "policy" if bundle else "demonstrator",
            "bundle": {"name": bundle.name, "sha256": bundle.sha256} if bundle else None,
            "task": command.task,
            "instruction": command.instruction,
            "real_time": True,
            **summary,
            "wall_s": round(wall_s, 1),
            "rows": [dataclasses.asdict(trial) for trial in trials],
        },
    )
    print(f"report: {command.report}")
