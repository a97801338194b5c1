"""All that was calibrated of a rig, from `calibration/<rig>/`, judged once for the whole system.

A robot must not run on half of a calibration: a file that is there but damaged, of another rig,
camera or image size, too old, or worse than the arm itself, is refused by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from carp_ros.calibrated.result_file import (
    AnyResult,
    CameraIntrinsics,
    CameraPose,
    Latency,
    ToolTip,
    read_result,
)
from carp_ros.geometry import compose, invert
from carp_ros.refusal import named
from carp_ros.rig_cameras import CameraConfig
from carp_ros.rig_sections import CalibrationConfig
from carp_ros.types import Pose

ACTION, GRIPPER, TOOL = "action", "gripper", "tool"
_INTRINSICS, _POSE, _LATENCY = "_intrinsics", "_pose", "_latency"
_VERBS = {
    CameraIntrinsics: "intrinsics",
    CameraPose: "hand-eye or camera-to-base",
    Latency: "latency",
    ToolTip: "tool",
}
_WORST_PX = 2.0
_WORST_POSE_MM, _WORST_POSE_DEG = 5.0, 1.0
_WORST_TIP_MM = 3.0
_WORST_LATENCY_STD_S = 0.01


@dataclass(frozen=True)
class RigCalibration:
    """Results by camera or device; what was not calibrated is absent.

    Attributes:
        intrinsics, poses: By camera.
        latencies: By camera, and of `action` and `gripper`.
        tool: The tool centre point.
    """

    intrinsics: dict[str, CameraIntrinsics] = field(default_factory=dict)
    poses: dict[str, CameraPose] = field(default_factory=dict)
    latencies: dict[str, Latency] = field(default_factory=dict)
    tool: ToolTip | None = None

    @property
    def files(self) -> dict[str, AnyResult]:
        """All results by the name of their file, without its ending."""
        found: dict[str, AnyResult] = {}
        found |= {f"{name}{_INTRINSICS}": result for name, result in self.intrinsics.items()}
        found |= {f"{name}{_POSE}": result for name, result in self.poses.items()}
        found |= {f"{name}{_LATENCY}": result for name, result in self.latencies.items()}
        return found | ({TOOL: self.tool} if self.tool else {})

    @property
    def dates(self) -> dict[str, str]:
        """When each result in force was measured, by the name of its file: for reports."""
        return {name: result.provenance.date for name, result in self.files.items()}

    def serial_numbers(self, camera: str) -> dict[str, str]:
        """Return the serial number that each of a camera's results is for, where it is known."""
        numbers = {
            f"{camera}{_INTRINSICS}": self.intrinsics.get(camera),
            f"{camera}{_POSE}": self.poses.get(camera),
            f"{camera}{_LATENCY}": self.latencies.get(camera),
        }
        known = {name: r.provenance.serial_number for name, r in numbers.items() if r is not None}
        return {name: number for name, number in known.items() if number}

    def tool_from_camera(self, camera: str, flange_from_tcp: Pose) -> Pose | None:
        """Return a wrist camera's pose in the tool frame; None if it is fixed or not calibrated."""
        pose = self.poses.get(camera)
        if pose is None or pose.parent != "flange":
            return None
        return compose(invert(flange_from_tcp), pose.parent_from_camera)

    def base_from_camera(self, camera: str) -> Pose | None:
        """Return a fixed camera's pose; None if it is on the wrist or not calibrated."""
        pose = self.poses.get(camera)
        return None if pose is None or pose.parent != "base" else pose.parent_from_camera


def judged_calibration(
    files: Mapping[str, Mapping[str, Any]],
    folder: Path,
    rig: str,
    cameras: Mapping[str, CameraConfig],
    rules: CalibrationConfig,
    today: date,
) -> RigCalibration:
    """Return the results that a rig may use.

    Args:
        files: What is in the files, by their names without the ending.
        folder: Where they are: for error texts.
        rig: Name of the rig.
        cameras: The rig's cameras.
        rules: The rig's section `calibration`.
        today: The day on which the files were read.

    Raises:
        ValueError: If one is missing that the rig requires, or one may not be used.
    """
    for name in (name for name in rules.required if name not in files):
        raise ValueError(
            f"{named(folder / name)}.yaml is missing, but calibration.required lists it; expected"
            f" it to be measured: carp calibrate (doc/calibrate.md), or not to be required"
        )
    calibration = RigCalibration()
    for name, content in files.items():
        where = f"{named(folder / name)}.yaml"
        try:
            result = read_result(content, where)
            _take(calibration, name, result, cameras)
            for reason in _unusable(result, rig, cameras, rules, today):
                raise ValueError(
                    f"{reason}: measure it anew (carp calibrate {_VERBS[type(result)]}), or move"
                    " the file away to run without it"
                )
        except ValueError as error:
            text = str(error)
            raise ValueError(text if text.startswith(where) else f"{where}: {text}") from error
        if isinstance(result, ToolTip):
            calibration = RigCalibration(
                calibration.intrinsics, calibration.poses, calibration.latencies, result
            )
    return calibration


def _take(
    calibration: RigCalibration, name: str, result: AnyResult, cameras: Mapping[str, CameraConfig]
) -> None:
    """Add a result under the device that its file is named after."""
    if isinstance(result, ToolTip):
        device, wanted = TOOL, TOOL
    elif isinstance(result, Latency):
        device, wanted = result.device, f"{result.device}{_LATENCY}"
        calibration.latencies[device] = result
    elif isinstance(result, CameraPose):
        device, wanted = result.camera, f"{result.camera}{_POSE}"
        calibration.poses[device] = result
    else:
        device, wanted = result.camera, f"{result.camera}{_INTRINSICS}"
        calibration.intrinsics[device] = result
    if name != wanted:
        raise ValueError(
            f"holds {wanted}; expected what its name says: name the file {wanted}.yaml"
        )
    own = (ACTION, GRIPPER) if isinstance(result, Latency) else ()
    if device not in (*cameras, *own, TOOL):
        raise ValueError(
            f"is of the camera {device!r}, which the rig does not have; expected one of"
            f" {', '.join((*cameras, *own))}: move the file away"
        )


def _unusable(
    result: AnyResult,
    rig: str,
    cameras: Mapping[str, CameraConfig],
    rules: CalibrationConfig,
    today: date,
) -> Iterator[str]:
    """Yield why a result may not be used."""
    whence = result.provenance
    if whence.rig != rig:
        yield f"was measured on the rig {whence.rig!r}; expected {rig!r}"
    age = whence.age_days(today)
    if not -1 <= age <= rules.max_age_days:  # -1: measured east of here
        when = f"{age} days old" if age > 0 else f"from {-age} days in the future"
        yield (
            f"is {when} (of {whence.date}; today is {today.isoformat()}); expected at most"
            f" calibration.max_age_days, {rules.max_age_days}"
        )
    if isinstance(result, CameraIntrinsics):
        yield from _unusable_intrinsics(result, cameras[result.camera])
    elif isinstance(result, CameraPose):
        mm, deg = result.position_std_mm, result.rotation_std_deg
        if mm > _WORST_POSE_MM or deg > _WORST_POSE_DEG:
            yield (
                f"has a standard error of {mm:g} mm and {deg:g} deg; expected at most"
                f" {_WORST_POSE_MM:g} mm and {_WORST_POSE_DEG:g} deg"
            )
    elif isinstance(result, ToolTip):
        if result.position_std_mm > _WORST_TIP_MM:
            yield (
                f"has a standard error of {result.position_std_mm:g} mm; expected at most"
                f" {_WORST_TIP_MM:g} mm"
            )
    else:
        yield from _unusable_latency(result, cameras)


def _unusable_intrinsics(result: CameraIntrinsics, camera: CameraConfig) -> Iterator[str]:
    measured, used = (result.width_px, result.height_px), (camera.width_px, camera.height_px)
    if measured != used:
        yield (
            f"is for images of {measured[0]}x{measured[1]} px, but cameras.{result.camera} has"
            f" {used[0]}x{used[1]} px; expected that size, as intrinsics hold for one size only"
        )
    residual_px = result.provenance.residual_px
    if residual_px is not None and residual_px > _WORST_PX:
        yield f"has a residual of {residual_px:g} px; expected at most {_WORST_PX:g} px"


def _unusable_latency(result: Latency, cameras: Mapping[str, CameraConfig]) -> Iterator[str]:
    if result.std_s > _WORST_LATENCY_STD_S:
        yield (
            f"has a standard error of {result.std_s:g} s; expected at most"
            f" {_WORST_LATENCY_STD_S:g} s"
        )
    camera = cameras.get(result.device)
    if camera is not None and camera.driver == "external":
        yield (
            f"is the latency of {result.device}, whose stamps are made by a driver outside of this"
            " package; expected that driver to be corrected instead"
        )
