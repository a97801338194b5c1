"""`carp record` over ROS, in real time: runs the system with its recorder and an operator."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from carp_ros.cli.episode_table import header, row
from carp_ros.cli.record_task import task_of
from carp_ros.console.node_log import NodeLog
from carp_ros.processes.ros_environment import enter
from carp_ros.reports.recorder import RecorderStatus
from carp_ros.rig import Rig, load_rig
from carp_ros.system.bringup import READY_WITHIN_S, describe, rig_path
from carp_ros.system.running_system import RunningSystem

if TYPE_CHECKING:
    from carp_ros.cli.record import RecordCommand
    from carp_ros.clients.recorder_client import RecorderClient
    from carp_ros.clients.trial_node import TrialNode


def run(command: RecordCommand) -> int:
    """Start the rig and record; return 0 if no episode is red, else 1."""
    enter()
    rig = load_rig(rig_path(command.rig))
    mode = "demonstrate" if command.agent == "demonstrator" else "teleop"
    task, instruction = task_of(command.task, command.instruction, rig)
    nodes = describe(rig, mode, task=task, record=True, folder=str(command.out))
    asked = command.instruction
    command = replace(command, task=task, instruction=instruction)
    log = NodeLog(verbose=False)
    print(f"bringing up {rig.name}: {', '.join(node.name for node in nodes)}", flush=True)
    ended: list[RecorderStatus] = []
    try:
        with RunningSystem(nodes, log) as system:
            system.wait_until_ready(READY_WITHIN_S)
            if command.agent == "demonstrator":
                _demonstrate_all(command, rig, asked, ended)
            else:
                _attend(command, rig, ended)
    except Exception:
        log.replay()
        raise
    finally:
        print(_summary(ended, command))
    return 1 if any(quality.verdict == "red" for quality in ended) else 0


def parameters(command: RecordCommand) -> dict[str, str | int]:
    """Return the recorder's parameters that the command sets."""
    given: dict[str, str | int] = {
        "task": command.task,
        "instruction": command.instruction,
        "images": command.images,
    }
    return given | ({"operator": command.operator} if command.operator else {})


def _demonstrate_all(
    command: RecordCommand, rig: Rig, asked: str, ended: list[RecorderStatus]
) -> None:
    """Record the scripted operator, who does what `asked` says if the task leaves a choice."""
    from carp_ros.clients.recorder_client import RecorderClient
    from carp_ros.clients.trial_node import trial_node
    from carp_ros.sim.tasks import task_named

    leaves_choice = not task_named(command.task).has_one_goal
    cameras = list(rig.cameras)
    with trial_node(rig) as node:
        recorder = RecorderClient(node)
        recorder.wait_until_there()
        recorder.configure(**parameters(command))
        instruction = asked if leaves_choice else ""
        node.set_parameters_of("cell_node", level=command.level, instruction=instruction)
        node.prepare()
        print(header(cameras), flush=True)
        for number in range(command.episodes):
            recorder.result = None
            try:
                success = _demonstrate(command, node, recorder, command.seed_start + number)
                if recorder.result is not None:
                    recorder.result = replace(recorder.result, success=success)
            finally:  # an interrupted episode is kept without a label
                if recorder.result is not None:
                    ended.append(recorder.result)
                    print(row(recorder.result, cameras), flush=True)


def _demonstrate(
    command: RecordCommand, node: TrialNode, recorder: RecorderClient, seed: int
) -> bool:
    """Record one trial, label it, and return whether it succeeded."""

    def progress(text: str) -> None:
        if sys.stdout.isatty():
            print(f"\rseed {seed}: {text:<40}", end="\r", flush=True)

    recorder.configure(seed=seed)
    trial, _ = node.conduct(seed, command.timeout_s, progress, recorder.episode())
    recorder.mark_success(trial.success)
    return trial.success


def _attend(command: RecordCommand, rig: Rig, ended: list[RecorderStatus]) -> None:
    from carp_ros.cli.record_console import RecordConsole
    from carp_ros.clients.recorder_client import recorder_client

    with recorder_client() as recorder:
        recorder.wait_until_there()
        recorder.configure(**parameters(command))
        RecordConsole(recorder, list(rig.cameras), ended).run(command.episodes)


def _summary(ended: list[RecorderStatus], command: RecordCommand) -> str:
    verdicts = Counter(quality.verdict for quality in ended)
    colours = ", ".join(f"{verdicts[colour]} {colour}" for colour in sorted(verdicts))
    successes = sum(quality.success is True for quality in ended)
    return (
        f"{len(ended)} episodes in {command.out}, {successes} successful; quality:"
        f" {colours or 'none recorded'}"
    )
