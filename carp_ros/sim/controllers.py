"""Which emulated controller stands in front of the simulated cell, by the rig's arm driver.

Imports no physics: who starts a controller need not have it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from carp_ros.rig import Rig

_PROGRAMS = {"ur": "carp_ros.sim.ur"}
_PORTS = {"ur": (29999, 30003, 30004, 63352)}  # the gripper's is among them

PORTS = tuple(sorted({port for ports in _PORTS.values() for port in ports}))
"""Where an emulated controller of any driver listens, beside its rig's own fault port."""


def snapshot_name(rig: Rig) -> str:
    """Return the name of the mailbox in which the controller of this rig keeps its cell."""
    return f"cell_{rig.arm.host}"


def controller_command(rig: Rig, path: Path) -> list[str]:
    """Return the command that starts the emulated controller of a simulated rig.

    It says READY on its standard output once it listens. It gets the servo's priority: a robot's
    controller is punctual whatever this machine does.

    Args:
        rig: The rig.
        path: Its file.
    """
    program = _PROGRAMS[rig.arm.driver]
    command = [sys.executable, "-m", program, "--rig", str(path)]
    return [*command, "--rig-sha256", rig.sha256, "--priority", str(rig.servo.priority)]
