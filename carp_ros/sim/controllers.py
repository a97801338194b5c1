"""The emulated controllers of the simulated cell, by the rig's arm driver.

Imports no physics, which a process that only starts a controller need not have installed.
"""

from __future__ import annotations

import sys

from carp_ros.rig import Rig

_PROGRAMS = {"ur": "carp_ros.sim.ur"}
_PORTS = {"ur": (29999, 30003, 30004, 63352)}  # the gripper's is among them

PORTS = tuple(sorted({port for ports in _PORTS.values() for port in ports}))
"""Ports on which emulated controllers of any driver listen, apart from the rig's fault port."""


def snapshot_name(rig: Rig) -> str:
    """Return the name of the mailbox to which a rig's controller publishes its cell."""
    return f"cell_{rig.arm.host}"


def controller_command(rig: Rig) -> list[str]:
    """Return the command that starts the emulated controller of a simulated rig.

    It prints READY to its standard output when it listens. It gets the servo's priority, as a real
    controller is on time however busy this machine is.
    """
    command = [sys.executable, "-m", _PROGRAMS[rig.arm.driver]]
    return [*command, *rig.file.arguments, "--priority", str(rig.servo.priority)]
