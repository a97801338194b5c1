"""What the processes of all emulated controllers have in common: arguments, plant, signals."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from carp_ros.control.realtime import request_realtime
from carp_ros.errors import CarpError
from carp_ros.processes.cores import take_realtime_core
from carp_ros.processes.parent import end_with_starter, was_started_by_us
from carp_ros.rig import CellConfig, Rig, load_rig
from carp_ros.sim.cell import Cell
from carp_ros.sim.cell_plant import CellPlant
from carp_ros.sim.levels import LEVELS
from carp_ros.sim.plant import KinematicPlant, Plant
from carp_ros.sim.tasks import TASKS, task_named

_log = logging.getLogger(__name__)

Arguments = Any
"""The parsed arguments of `arguments_parser`, and those that a controller adds."""


class Server(Protocol):
    """A controller with its ports."""

    def run(self) -> None:
        """Serve until `stop`."""
        ...

    def stop(self) -> None:
        """Make `run` return; may be called from a signal handler."""
        ...

    def close(self) -> None:
        """Close every socket."""
        ...


def arguments_parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of the arguments that every emulated controller takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rig", type=Path, required=True, help="rig file")
    parser.add_argument("--rig-sha256", default="", help="required SHA-256 of that file")
    parser.add_argument("--host", help="address to listen on; the rig's arm.host by default")
    parser.add_argument("--physics", choices=("cell", "kinematic"), default="cell")
    parser.add_argument("--fault-port", type=int, default=30999, help="0 for none")
    parser.add_argument("--priority", type=int, default=0, help="SCHED_FIFO priority; 0 for none")
    cell = parser.add_argument_group("with --physics cell; defaults are the rig's")
    cell.add_argument("--snapshot", help="mailbox for the cell's state, for the cameras")
    cell.add_argument("--task", choices=tuple(TASKS))
    cell.add_argument("--level", choices=tuple(LEVELS))
    cell.add_argument("--seed", type=int)
    return parser


def serve(
    arguments: Arguments, make: Callable[[Rig, Plant, Arguments], Server], period_s: float
) -> None:
    """Serve until SIGTERM or SIGINT; print READY to standard output when listening.

    Args:
        arguments: Of this process.
        make: Returns the controller with its ports.
        period_s: Cycle of a controller without physics.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    try:
        _serve(arguments, make, period_s)
    except (CarpError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


def _serve(
    arguments: Arguments, make: Callable[[Rig, Plant, Arguments], Server], period_s: float
) -> None:
    rig = load_rig(arguments.rig, arguments.rig_sha256)
    plant = _plant(rig, arguments, period_s)
    server = make(rig, plant, arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    if was_started_by_us():  # Ctrl-C reaches the whole process group, but our parent stops us
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_starter(signal.SIGTERM)
    take_realtime_core()
    grant = request_realtime(arguments.priority, cpu=-1, required=False)
    if grant.advice:
        _log.warning("%s; cycles may come late", grant.advice)
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    try:
        server.run()
    finally:
        server.close()
        plant.close()


def _plant(rig: Rig, arguments: Arguments, period_s: float) -> Plant:
    if arguments.physics == "kinematic":
        return KinematicPlant(np.array(rig.home_joints_rad), period_s)
    config = rig.cell or CellConfig()
    cell = Cell(rig, task_named(arguments.task or config.task), visuals=False)
    seed = config.seed if arguments.seed is None else arguments.seed
    cell.reset(seed, arguments.level or config.level)
    return CellPlant(cell, arguments.snapshot)
