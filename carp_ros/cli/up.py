"""`carp up`: runs a rig's nodes as child processes, without `ros2 launch`."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from dataclasses import dataclass

from carp_ros.cli.options import Text
from carp_ros.processes.ready import announce_ready
from carp_ros.processes.ros_environment import enter
from carp_ros.system.bringup import READY_WITHIN_S, SystemMode, describe
from carp_ros.system.running_system import RunningSystem

_COLOURS = (36, 33, 35, 32, 34, 31)  # of ANSI terminals: cyan, yellow, magenta, green, blue, red


@dataclass(frozen=True)
class UpCommand:
    """Start all nodes of a rig and run them until Ctrl-C.

    Attributes:
        rig: A rig's file, or the name of one in config/.
        mode: Who moves the arm.
        task: The task, and the objects on a simulated table (cup, bowl); empty: the rig file's, or
            the policy's only task.
        bundle: For --mode policy: the compiled policy's folder, or its name in models/; empty: the
            package's own bundle for the task.
        record: Also start the recorder: both buttons of the pointer start and stop an episode.
        folder: Folder for the recorder's episodes.
        namespace: Namespace of all ROS names, for a second rig in the same ROS domain.
    """

    rig: Text = "ur5e_sim"
    mode: SystemMode = "teleop"
    task: Text = ""
    bundle: Text = ""
    record: bool = False
    folder: Text = "episodes"
    namespace: Text = ""


def main(command: UpCommand) -> int:
    """Run the nodes; return the exit code of the first one that ends."""
    enter()
    nodes = describe(
        command.rig,
        command.mode,
        task=command.task,
        bundle=command.bundle,
        record=command.record,
        folder=command.folder,
        namespace=command.namespace,
    )
    with RunningSystem(nodes, PrefixedLog([node.name for node in nodes])) as system:
        system.wait_until_ready(READY_WITHIN_S)
        print("carp up: ready; Ctrl-C stops it", flush=True)
        announce_ready()  # to systemd, if it listens
        ended = system.wait()
        print(f"carp up: {ended}; stopping the others", file=sys.stderr, flush=True)
    return ended.code


class PrefixedLog:
    """Prints each node's lines prefixed with its name, on a terminal in the node's own colour."""

    def __init__(self, names: list[str]) -> None:
        width = max(map(len, names))
        coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()
        self._prefixes = {
            name: f"\033[{colour}m{name:<{width}} |\033[0m " if coloured else f"{name:<{width}} | "
            for name, colour in zip(names, itertools.cycle(_COLOURS))
        }

    def __call__(self, name: str, line: str) -> None:
        """Print one line of a node."""
        with self._lock:
            print(self._prefixes[name] + line, flush=True)
