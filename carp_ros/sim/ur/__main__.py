"""Run a simulated UR5e controller: `python -m carp_ros.sim.ur --rig config/ur5e_sim.yaml`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path

import numpy as np

from carp_ros.control.realtime import request_realtime
from carp_ros.errors import CarpError
from carp_ros.processes.parent import end_with_starter, was_started_by_us
from carp_ros.rig import CellConfig, Rig, load_rig
from carp_ros.sim.cell import Cell
from carp_ros.sim.levels import LEVELS
from carp_ros.sim.tasks import TASKS, task_named
from carp_ros.sim.ur.cell_plant import CellPlant
from carp_ros.sim.ur.controller import Controller
from carp_ros.sim.ur.plant import KinematicPlant, Plant
from carp_ros.sim.ur.server import Server

_log = logging.getLogger(__name__)


def main() -> None:
    """Serve until SIGTERM or SIGINT; print READY to standard output when listening."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    arguments = _arguments()
    try:
        _serve(arguments)
    except (CarpError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


def _serve(arguments: argparse.Namespace) -> None:
    rig = load_rig(arguments.rig, arguments.rig_sha256)
    plant = _plant(rig, arguments)
    controller = Controller(rig.robot, plant, unlock_delay_s=arguments.unlock_delay)
    server = Server(controller, arguments.host or rig.arm.host, arguments.fault_port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    if was_started_by_us():  # Ctrl-C reaches the whole process group, but our parent stops us
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_starter(signal.SIGTERM)
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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rig", type=Path, required=True, help="rig file")
    parser.add_argument("--rig-sha256", default="", help="required SHA-256 of that file")
    parser.add_argument("--host", help="address to listen on; the rig's arm.host by default")
    parser.add_argument("--physics", choices=("cell", "kinematic"), default="cell")
    parser.add_argument("--fault-port", type=int, default=30999, help="0 for none")
    parser.add_argument("--unlock-delay", type=float, default=5.0, help="of protective stops [s]")
    parser.add_argument("--priority", type=int, default=0, help="SCHED_FIFO priority; 0 for none")
    cell = parser.add_argument_group("with --physics cell; defaults are the rig's")
    cell.add_argument("--snapshot", help="mailbox for the cell's state, for the cameras")
    cell.add_argument("--task", choices=tuple(TASKS))
    cell.add_argument("--level", choices=tuple(LEVELS))
    cell.add_argument("--seed", type=int)
    return parser.parse_args()


def _plant(rig: Rig, arguments: argparse.Namespace) -> Plant:
    if arguments.physics == "kinematic":
        return KinematicPlant(np.array(rig.home_joints_rad))
    config = rig.cell or CellConfig()
    cell = Cell(rig, task_named(arguments.task or config.task), visuals=False)
    seed = config.seed if arguments.seed is None else arguments.seed
    cell.reset(seed, arguments.level or config.level)
    return CellPlant(cell, arguments.snapshot)


if __name__ == "__main__":
    main()
