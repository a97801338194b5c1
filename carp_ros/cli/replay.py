"""`carp replay`: replays a recorded episode and reports the deviation."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import tyro

from carp_ros.cli.options import Text
from carp_ros.console.node_log import NodeLog
from carp_ros.evaluation.report import heading, write_report
from carp_ros.processes.ros_environment import enter
from carp_ros.recording.bag import read_info
from carp_ros.recording.recorded_motion import PathDeviation, RecordedMotion, read_motion
from carp_ros.rig import Rig, load_rig
from carp_ros.share import version
from carp_ros.system.bringup import READY_WITHIN_S, describe, rig_path
from carp_ros.system.running_system import RunningSystem


@dataclass(frozen=True)
class ReplayCommand:
    """Replay a recorded episode's commands on the rig, and compare the paths.

    The recorded tool poses and gripper commands are sent again at the same pace, through the same
    servo and limits. The arm first moves home, then slowly to the episode's first pose. On a
    simulated rig, the objects are placed as they were. Prints the deviation of the tool's path from
    the recorded one.

    Attributes:
        episode: The episode's folder.
        rig: A rig's file, or the name of one in config/; empty: the rig that recorded it.
        running: The rig is running already (`carp up`): only send commands.
        report: JSON file for the figures.
        verbose: Show the nodes' output.
    """

    episode: tyro.conf.Positional[Path]
    rig: Text = ""
    running: bool = False
    report: Path | None = None
    verbose: bool = False


def main(command: ReplayCommand) -> int:
    """Replay the episode; return 0 if the arm completed it."""
    enter()
    info = read_info(command.episode)
    rig = load_rig(rig_path(command.rig or info.rig))
    motion = read_motion(command.episode, rig.robot.base_frame)
    seconds = (motion.end_ns - motion.start_ns) * 1e-9
    print(f"{command.episode}: {info.task}, {seconds:.1f} s, by {info.operator}", flush=True)
    log = NodeLog(verbose=command.verbose)
    try:
        with _system(command, info.task, rig, log):
            deviation, judged = _replay(rig, motion, info.seed)
    except Exception:
        log.replay()
        raise
    print(
        f"the tool was {deviation.mean_mm:.2f} mm and {deviation.mean_deg:.2f} deg from the"
        f" recorded pose at the same time (mean), {deviation.max_mm:.2f} mm and"
        f" {deviation.max_deg:.2f} deg at most, and {deviation.off_path_mm:.2f} mm off the path"
        f"{judged}"
    )
    if command.report:
        content = {"episode": str(command.episode), "seconds": round(seconds, 2)}
        content |= dataclasses.asdict(deviation)
        write_report(command.report, {**heading(["carp", *sys.argv[1:]], version()), **content})
        print(f"report: {command.report}")
    return 0


@contextmanager
def _system(command: ReplayCommand, task: str, rig: Rig, log: NodeLog) -> Iterator[None]:
    """Run the rig's nodes during the block, unless they are running already."""
    if command.running:
        yield
        return
    nodes = describe(rig, task=task if rig.cell else "")
    print(f"bringing up {rig.name}: {', '.join(node.name for node in nodes)}", flush=True)
    with RunningSystem(nodes, log) as system:
        system.wait_until_ready(READY_WITHIN_S)
        yield


def _replay(rig: Rig, motion: RecordedMotion, seed: int | None) -> tuple[PathDeviation, str]:
    """Replay; return the deviation, and on a simulated rig whether the task succeeded, as text."""
    from carp_ros.clients.replay_node import replay_node  # after `enter`

    def progress(text: str) -> None:
        if sys.stdout.isatty():
            print(f"\r{text:<40}", end="\r", flush=True)

    if rig.cell is None:
        seed = None
    with replay_node(rig) as node:
        if seed is not None:
            node.set_parameters_of("cell_node", seed=seed)
            node.trigger("cell/scatter")
        node.begin(motion.target_poses.poses[0], float(motion.gripper[0]))
        executed, later_ns = node.replay(motion, progress)
        judged = f"; {node.judge()}" if seed is not None else ""
    return motion.deviation(executed, later_ns), judged
