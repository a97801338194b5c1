"""`carp record`: demonstrations, from a person's hand or in bulk from the simulated cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from carp_ros.cli.options import Count, Seconds, Seed, Text, Workers, ZeroOr


@dataclass(frozen=True)
class RecordCommand:
    """Record demonstrations, one rosbag2 folder each.

    With --lockstep the scripted operator demonstrates in the simulated cell without ROS, in
    simulated time, on every core; a seed always gives the same episode, and what is there already
    is not made again. Otherwise the rig is brought up with its recorder: the scripted operator does
    one episode after the other, or a person, who starts and stops with both buttons of the
    SpaceMouse or with the keyboard.

    Attributes:
        out: Folder of the episodes.
        agent: Who demonstrates: demonstrator, the scripted operator of the simulated cell, or
            person, whoever holds the SpaceMouse.
        task: What to do. On a real rig in your words, such as "put the mug on the shelf": they are
            the instruction of the episodes and name them. In the simulated cell cup (put it in the
            field on the right) or bowl (put it into the pot); empty takes that of the rig's file.
        episodes: How many.
        lockstep: In simulated time, as fast as this machine can.
        seed_start: Seed of the first; the others follow.
        level: How much places, colours, light and cameras vary in the cell.
        timeout_s: A longer episode is stopped.
        images: jpeg, or raw: without loss, and ten times the size.
        camera_rate_hz: Pictures a second in lockstep; 0 takes the rig's.
        workers: Processes in lockstep; 0 takes one a core.
        rig: A rig's file, or the name of one in config/.
        instruction: The task in other words; empty: those of --task, or the simulated task's own.
        operator: Who demonstrates, by name; empty: who is logged in, or demonstrator.
    """

    out: Path = Path("episodes")
    agent: Literal["demonstrator", "person"] = "demonstrator"
    task: Text = ""
    episodes: Count = 10
    lockstep: bool = False
    seed_start: Seed = 0
    level: Literal["none", "normal", "hard"] = "normal"
    timeout_s: Seconds = 40.0
    images: Literal["jpeg", "raw"] = "jpeg"
    camera_rate_hz: Annotated[float, ZeroOr(1.0, 240.0)] = 0.0
    workers: Workers = 0
    rig: Text = "ur5e_sim"
    instruction: Text = ""
    operator: Text = ""


def main(command: RecordCommand) -> int:
    """Record what was asked for; return 0."""
    if command.episodes < 1:
        raise ValueError(f"--episodes is {command.episodes}; expected at least 1")
    # One way needs MuJoCo and the other ROS: neither is wanted where it is not used.
    if command.lockstep:
        from carp_ros.cli.record_lockstep import run
    else:
        from carp_ros.cli.record_live import run
    return run(command)
