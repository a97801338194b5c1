"""Which probes look at a machine, and which of them a rig does not run without."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from carp_ros.checks.arm_network import LatencyProbe, PingProbe, PortsProbe
from carp_ros.checks.calibration import calibration_checks
from carp_ros.checks.cameras import camera_checks
from carp_ros.checks.clock import ClockProbe
from carp_ros.checks.gpu import EngineProbe, GpuProbe
from carp_ros.checks.installation import CHECKS, realtime
from carp_ros.checks.pointer import pointer_check
from carp_ros.checks.probe import Check, CheckResult, Probe
from carp_ros.checks.realtime import GovernorProbe, KernelProbe, MemlockProbe, RtprioProbe
from carp_ros.checks.room import EpisodeRoomProbe, InotifyProbe
from carp_ros.checks.system_files import SystemFiles
from carp_ros.checks.usb import UsbProbe
from carp_ros.reports.check import CheckCode
from carp_ros.rig import Rig, ServoConfig, TeleopConfig

_REAL_ARMS = "every real arm"
_FEW_LATE_TICKS = "few late ticks on a busy machine"
_SIMULATED = "simulated rigs"
_BEHIND_ITS_DRIVER = CheckResult(
    "not looked at: only its vendor's ros2_control driver knows it",
    "carp up: arm_bridge_node tells in /diagnostics whether that driver is ready",
    CheckCode.NOT_APPLICABLE,
)


def probes_of_the_machine(folder: Path, files: SystemFiles) -> Iterator[Probe]:
    """Yield the probes of a machine without any rig.

    Args:
        folder: Where episodes go.
        files: The kernel's files.
    """
    yield from CHECKS
    yield pointer_check(TeleopConfig())
    yield from _realtime(ServoConfig().priority, files, _REAL_ARMS, _REAL_ARMS)
    yield from _the_rest(files)
    yield EpisodeRoomProbe(folder)


def probes_of(rig: Rig, bundle: Path | None, folder: Path, files: SystemFiles) -> Iterator[Probe]:
    """Yield the probes of a machine that runs a rig, and of the rig's devices.

    Args:
        rig: The rig; nothing else may use its devices meanwhile.
        bundle: A policy's folder; None for none.
        folder: Where episodes go.
        files: The kernel's files.
    """
    simulated = rig.cell is not None
    for check in CHECKS:
        yield _in(rig, check)
    yield pointer_check(rig.teleop)
    arm, priority = rig.arm, rig.servo.priority
    if not simulated:
        priority = max(priority, arm.library_priority)
    yield from _realtime(
        priority,
        files,
        "" if arm.needs_realtime_kernel and not simulated else _FEW_LATE_TICKS,
        "" if rig.servo.require_realtime else _FEW_LATE_TICKS,
    )
    yield from _the_rest(files)
    yield EpisodeRoomProbe(folder, rig.cameras)
    if not simulated:
        if arm.host:
            yield PortsProbe(arm.host, arm.services)
            yield LatencyProbe(arm.host, arm.often_port, arm.round_trip_s)
            yield PingProbe(arm.host, arm.round_trip_s, needed_for="the line above, by other means")
        else:
            yield Check("arm", lambda: _BEHIND_ITS_DRIVER)
        gripper = {rig.gripper.port: rig.gripper.driver}
        yield PortsProbe(rig.gripper.host, gripper, name="gripper's port")
    yield from calibration_checks(rig)
    for check in camera_checks(rig):
        # first, while it does not send images
        yield UsbProbe(check.name, rig.cameras, files)
        yield check
    if bundle is not None:
        yield EngineProbe(bundle, rig)


def _realtime(
    priority: int, files: SystemFiles, kernel_for: str, permissions_for: str
) -> Iterator[Probe]:
    yield KernelProbe(files, kernel_for)
    yield RtprioProbe(priority, files, permissions_for)
    yield MemlockProbe(files, permissions_for)
    yield GovernorProbe(files, _FEW_LATE_TICKS)


def _the_rest(files: SystemFiles) -> Iterator[Probe]:
    yield GpuProbe(files)
    yield ClockProbe(files)
    yield InotifyProbe(files)


def _in(rig: Rig, check: Check) -> Check:
    """Return a check of the machine as it counts for a rig."""
    if check.code is CheckCode.NO_RENDERING and rig.cell is None:
        return dataclasses.replace(check, needed_for=_SIMULATED)
    if check.code is CheckCode.NO_REALTIME_PRIORITY:
        needed_for = "" if rig.servo.require_realtime else check.needed_for
        return Check(check.name, partial(realtime, rig.servo), needed_for, check.code)
    return check
