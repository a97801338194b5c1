"""Run a simulated UR5e controller: `python -m carp_ros.sim.ur --rig config/ur5e_sim.yaml`."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
from pathlib import Path

import numpy as np

from carp_ros.rig import Rig, load_rig
from carp_ros.sim.ur.controller import Controller
from carp_ros.sim.ur.plant import KinematicPlant, Plant
from carp_ros.sim.ur.server import Server

_log = logging.getLogger(__name__)


def main() -> None:
    """Serve until SIGTERM or SIGINT; says READY on its standard output once it listens."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    arguments = _arguments()
    rig = load_rig(arguments.rig)
    plant = _plant(rig, arguments)
    controller = Controller(rig.robot, plant, unlock_delay_s=arguments.unlock_delay)
    server = Server(controller, arguments.host or rig.arm.host, arguments.fault_port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    if arguments.priority:
        _ask_for_priority(arguments.priority)
    gc.collect()
    gc.freeze()
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    try:
        server.run()
    finally:
        server.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rig", type=Path, required=True, help="rig file")
    parser.add_argument("--host", help="address to listen on; the rig's arm.host by default")
    parser.add_argument("--physics", choices=("cell", "kinematic"), default="cell")
    parser.add_argument("--fault-port", type=int, default=30999, help="0 for none")
    parser.add_argument("--unlock-delay", type=float, default=5.0, help="of protective stops [s]")
    parser.add_argument("--priority", type=int, default=0, help="SCHED_FIFO priority; 0 for none")
    return parser.parse_args()


def _plant(rig: Rig, arguments: argparse.Namespace) -> Plant:
    return KinematicPlant(np.array(rig.home_joints_rad))


def _ask_for_priority(priority: int) -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (PermissionError, OSError) as error:
        _log.warning("no SCHED_FIFO priority %d (%s); cycles may come late", priority, error)


if __name__ == "__main__":
    main()
