"""Checks of what was calibrated: age, residual, whether it is usable."""

from __future__ import annotations

import dataclasses
from datetime import date
from functools import partial
from pathlib import Path

from carp_ros.calibrated.result_file import AnyResult, Latency
from carp_ros.calibrated.rig_calibration import judged_calibration
from carp_ros.checks.probe import Check, CheckResult
from carp_ros.files.plain_yaml import load_mapping
from carp_ros.reports.check import CheckCode
from carp_ros.rig import Rig, load_rig
from carp_ros.rig_file import calibration_folder, result_paths

_MEASURE = "carp calibrate (doc/calibrate.md)"


def calibration_checks(rig: Rig, today: date | None = None) -> tuple[Check, ...]:
    """Return one check for each result, one for what was not measured, and one for all together.

    Args:
        rig: The rig as its file describes it, whatever its results say.
        today: The day; None for today.
    """
    try:
        paths = result_paths(calibration_folder(rig.file.path))
    except ValueError as error:
        unlisted = CheckResult("its results can't be listed", str(error))
        return (Check("calibration", lambda: unlisted, code=CheckCode.CALIBRATION_UNUSABLE),)
    of_each = [
        Check(
            path.stem,
            partial(_result, path, rig, today or date.today()),
            code=CheckCode.CALIBRATION_UNUSABLE,
        )
        for path in paths
    ]
    absent = Check(
        "calibration",
        partial(_absent, rig, {path.stem for path in paths}),
        "camera_info, /tf_static and the times of images, arm and gripper",
        CheckCode.NOT_CALIBRATED,
    )
    whole = Check("rig", partial(_as_a_whole, rig), code=CheckCode.CALIBRATION_UNUSABLE)
    return (*of_each, absent, whole)


def described(result: AnyResult, today: date) -> str:
    """Return a result's age, residuals and figure, on one line."""
    whence = result.provenance
    age = whence.age_days(today)
    residuals = (
        (whence.residual_px, "px"),
        (whence.residual_mm, "mm"),
        (whence.residual_deg, "deg"),
    )
    left_out = f", {len(whence.outliers)} left out" if whence.outliers else ""
    parts = [
        f"{age} day{'' if age == 1 else 's'} old",
        *(f"{value:.3g} {unit}" for value, unit in residuals if value is not None),
        f"{whence.readings} readings{left_out}",
    ]
    if isinstance(result, Latency):
        parts.insert(1, f"{1e3 * result.latency_s:.1f} ms")
        parts.insert(2, f"standard error {1e3 * result.std_s:.2g} ms")
    if whence.serial_number:
        parts.append(f"serial number {whence.serial_number}")
    return ", ".join(parts)


def _result(path: Path, rig: Rig, today: date) -> CheckResult:
    """Judge one result alone."""
    rules = dataclasses.replace(rig.calibration, required=())
    content, found = {}, "not usable"
    try:
        content = {path.stem: load_mapping(path)}
        lenient = dataclasses.replace(rules, max_age_days=10**6)
        judged = judged_calibration(content, path.parent, rig.name, rig.cameras, lenient, today)
        found = described(judged.files[path.stem], today)
        judged_calibration(content, path.parent, rig.name, rig.cameras, rules, today)
    except ValueError as error:
        return CheckResult(found, str(error))
    return CheckResult(found)


def _absent(rig: Rig, names: set[str]) -> CheckResult:
    """Say what was not measured."""
    wanted = ["tool", "action_latency", "gripper_latency"]
    for camera, section in rig.cameras.items():
        own = ("intrinsics", "pose", "latency") if section.driver != "external" else ("pose",)
        wanted += [f"{camera}_{what}" for what in own]
    absent = [name for name in wanted if name not in names]
    if not absent:
        return CheckResult("all measured")
    return CheckResult(f"not measured: {', '.join(absent)}", _MEASURE)


def _as_a_whole(rig: Rig) -> CheckResult:
    """Load the rig as a system does, with everything that was calibrated."""
    try:
        lead = load_rig(rig.file.path).latency.lead
    except ValueError as error:
        return CheckResult(f"{rig.name} does not start", str(error))
    leads = f"commands lead by {lead.action_ns / 1e6:g} ms (arm), {lead.gripper_ns / 1e6:g} ms"
    return CheckResult(f"{rig.name} loads; {leads} (gripper)")
