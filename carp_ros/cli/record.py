"""`carp record`: records demonstrations, from a person or in bulk from the simulated cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from carp_ros.cli.options import Count, Seconds, Seed, Text, Workers, ZeroOr


@dataclass(frozen=True)
class RecordCommand:
    """Record demonstrations, one rosbag2 folder each.

    With --lockstep, the scripted operator demonstrates in the simulated cell without ROS, in
    simulated time, on every core; a seed always gives the same episode, and existing episodes are
    skipped. Otherwise the rig is started with its recorder, and either the scripted operator does
    one episode after another, or a person starts and stops episodes with both buttons of the
    pointer or with the keyboard.

    Attributes:
        out: Folder for the episodes.
        agent: Who demonstrates: demonstrator, the scripted operator of the simulated cell, or
            person, with the pointer.
        task: The task. On a real rig in your own words, such as "put the mug on the shelf": they
            become the episodes' instruction and name. In the simulated cell cup (put it in the
            field on the right), bowl (put it into the pot), or one where the instruction decides:
            two_cups, unseen_cups, two_fields, cup_or_bowl; empty takes that of the rig's file.
        episodes: Number of episodes.
        lockstep: Record in simulated time, as fast as this machine can.
        seed_start: Seed of the first episode; the others count up from it.
        level: How much positions, colours, light and cameras vary in the cell.
        timeout_s: A longer episode is stopped.
        images: jpeg, or raw: lossless and ten times the size.
        camera_rate_hz: Images per second in lockstep; 0 takes the rig's rate.
        workers: Number of processes in lockstep; 0 takes one per core.
        rig: A rig's file, or the name of one in config/.
        instruction: The task in other words; empty: those of --task, or the simulated task's own.
        sentences: In lockstep without --instruction, the words in which the cell asks: plain, the
            same each time; varied, for a policy that is to understand instructions; or unseen,
            which are none of those.
        operator: Name of the person who demonstrates; empty: the logged-in user, or demonstrator.
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
    sentences: Literal["plain", "varied", "unseen"] = "plain"
    operator: Text = ""


def main(command: RecordCommand) -> int:
    """Record the episodes; return the exit code."""
    if command.episodes < 1:
        raise ValueError(f"--episodes is {command.episodes}; expected at least 1")
    # Lockstep needs MuJoCo, live recording needs ROS: import only the one that is used.
    if command.lockstep:
        from carp_ros.cli.record_lockstep import run
    else:
        from carp_ros.cli.record_live import run
    return run(command)
