"""The emulated controllers of the simulated cell, by the rig's arm driver.

Imports no physics, which a process that only starts a controller need not have installed.
"""

from __future__ import annotations

import sys

from carp_ros.rig import Rig

_PROGRAMS = {
    # A real robot allows 20 lost commands in a row; this machine also draws images and plans.
    "fr3": ("carp_ros.sim.franka", "--lost-commands", "100"),
    "ur": ("carp_ros.sim.ur",),
}
_ABOVE_SERVO = {"fr3": -1, "ur": 1}
# the grippers' are among them
_PORTS = {"fr3": (1337, 1338), "ur": (29999, 30003, 30004, 63352)}

PORTS = tuple(sorted({port for ports in _PORTS.values() for port in ports}))
"""Ports on which emulated controllers of any driver listen, apart from the rig's fault port."""


def snapshot_name(rig: Rig) -> str:
    """Return the name of the mailbox to which a rig's controller publishes its cell."""
    return f"cell_{rig.arm.host}"


def controller_command(rig: Rig) -> list[str]:
    """Return the command that starts the emulated controller of a simulated rig.

    It prints READY to its standard output when it listens. Its priority is next to the servo's, as
    a real controller is on time however busy this machine is: above it for ur-rtde, which waits for
    its robot without sleeping; below it for an FR3, whose cycles take a third of each millisecond.
    """
    command = [sys.executable, "-m", *_PROGRAMS[rig.arm.driver]]
    priority = rig.servo.priority
    if priority:
        priority += _ABOVE_SERVO[rig.arm.driver]
    return [*command, *rig.file.arguments, "--priority", str(priority)]
