"""Check of the pointer: it is opened, and listened to for a second."""

from __future__ import annotations

import time
from functools import partial

from carp_ros.checks.probe import Check, CheckResult
from carp_ros.errors import DeviceError
from carp_ros.hardware.open_pointer import pointer_of
from carp_ros.hardware.pointer import Pointer
from carp_ros.reports.check import CheckCode
from carp_ros.rig import TeleopConfig
from carp_ros.types import PointerFault

LISTEN_S = 1.0


def pointer_check(teleop: TeleopConfig) -> Check:
    """Return the check of the pointer that a rig names."""
    look = partial(_listened, pointer_of(teleop))
    return Check(teleop.pointer.driver, look, "teleoperation", CheckCode.NO_POINTER)


def _listened(pointer: Pointer) -> CheckResult:
    try:
        pointer.open()
    except DeviceError as error:
        return CheckResult("none", str(error))
    found = pointer.describe()
    deadline_s = time.monotonic() + LISTEN_S
    try:
        state = pointer.read(time.monotonic_ns())
        while not state.heard and time.monotonic() < deadline_s:
            time.sleep(0.01)
            state = pointer.read(time.monotonic_ns())
        if state.heard:
            found = f"{pointer.describe()} speaks"
    finally:
        pointer.close()
    refusal = state.refusal
    # Off its centre or pressed is right while somebody moves it.
    if refusal is not None and (not state.heard or refusal.code is PointerFault.OUT_OF_RANGE):
        return CheckResult(found, refusal.text)
    if state.heard:
        return CheckResult(found)
    return CheckResult(
        f"{found}: nothing came from it within {LISTEN_S:g} s",
        "move it while this runs; if nothing comes then, switch a wireless one on and pair it",
    )
