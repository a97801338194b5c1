"""The rig: all settings of one workstation, from `config/<rig>.yaml` and `calibration/`.

Each section of the file becomes one dataclass of `rig_sections`; a missing key takes its default.
An unknown key, an invalid value, or sections that contradict each other raise a `ValueError` that
names file, key, value and expectation. Numbers from the file reach the control loops only this way,
and so do those of `calibration/<rig>/`, which replace the file's own.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from carp_ros.calibrated.rig_calibration import (
    ACTION,
    GRIPPER,
    TOOL,
    RigCalibration,
    judged_calibration,
)
from carp_ros.chain import longest_reach_m, tcp_pose
from carp_ros.refusal import named
from carp_ros.rig_cameras import CameraConfig
from carp_ros.rig_devices import ArmConfig, GripperConfig
from carp_ros.rig_file import RigFile, calibration_folder, read_rig_file
from carp_ros.rig_sections import (
    CalibrationConfig,
    CellConfig,
    LatencyConfig,
    LimitsConfig,
    RigName,
    ServoConfig,
    TeleopConfig,
    ToolConfig,
)
from carp_ros.robots import ROBOTS, Robot
from carp_ros.strict import Name, Sized, broken_rule, read_strictly

CELL_ADDRESS = "CARP_CELL_ADDRESS"
"""Environment variable with a simulated robot's address if another system already uses its rig's
`arm.host`. The process that starts a system sets it for all of its nodes."""

CELL_CAMERAS = ("wrist_cam", "third_cam")
"""The cameras that a simulated cell can render, from `sim/scene.py`."""

_OWN_NAMES = re.compile(
    "cell|chunk|clock|control|diagnostics|episode|gripper_(chunk|command|state)|joint_states"
    "|markers|parameter_events|path|policy|recorder|replay|robot_description|rosout|supervisor"
    "|synthetic|target_pose|teleop|tf|tf_static|tool_pose|trial|wrench|.*_node"
)
"""First parts of this package's own topics and services; no camera may have such a name."""


@dataclass(frozen=True)
class Rig:
    """One workstation.

    Attributes:
        name: Stem of the file name.
        cell: The simulated cell; None for real hardware.
        latency: How late arm and gripper are.
        calibration: Which results of calibrations may be used.
        calibrated: Those that are in force. `tool`, `latency` and the cameras' `latency_s` have
            their numbers already.
        file: The files that these settings are from.
    """

    name: RigName
    robot: Robot
    home_joints_rad: Annotated[tuple[float, ...], Sized(1, 20)]
    arm: ArmConfig
    gripper: GripperConfig
    tool: ToolConfig
    limits: LimitsConfig
    servo: ServoConfig
    teleop: TeleopConfig
    cameras: Annotated[dict[Name, CameraConfig], Sized(0, 16)]
    cell: CellConfig | None = field(default=None)
    latency: LatencyConfig = field(default=LatencyConfig())
    calibration: CalibrationConfig = field(default=CalibrationConfig())
    calibrated: RigCalibration = field(default_factory=RigCalibration)
    file: RigFile = field(default=RigFile(), compare=False, repr=False)

    def contradictions(self) -> Iterator[str]:
        """Yield contradictions between sections."""
        yield from self.arm.unfit_for(self.robot.name, self.servo.rate_hz)
        yield from self._of_home()
        yield from self._of_times()
        yield from self._of_cameras()
        if self.cell is None:
            if self.teleop.device == "demonstrator":
                yield "teleop.device is demonstrator, but there is no cell; expected pointer"
        else:
            yield from self._of_the_cell(self.cell)

    def _of_home(self) -> Iterator[str]:
        robot, limits, home = self.robot, self.limits, self.home_joints_rad
        if len(home) != len(robot.joint_names):
            yield (
                f"home_joints_rad has {len(home)} numbers; {robot.name} has"
                f" {len(robot.joint_names)} joints"
            )
        for name, lowest, at, highest in zip(
            robot.joint_names, robot.lower_rad, home, robot.upper_rad
        ):
            lowest, highest = lowest + limits.joint_margin_rad, highest - limits.joint_margin_rad
            if not lowest <= at <= highest:
                yield (
                    f"home_joints_rad puts {name} at {at:g}; expected {lowest:.4g} to"
                    f" {highest:.4g}, its range less limits.joint_margin_rad"
                )
        low, high = limits.workspace_min_m, limits.workspace_max_m
        farthest_m = math.hypot(*(max(abs(lo), abs(hi)) for lo, hi in zip(low, high)))
        reach_m = longest_reach_m(robot, self.tool.flange_from_tcp)
        if farthest_m > reach_m:
            yield (
                f"limits: a corner of the workspace is {farthest_m:.2f} m from the base; expected"
                f" {reach_m:.2f} m at most, which {robot.name} reaches with this tool"
            )
        at_m = tcp_pose(robot, self.tool.flange_from_tcp, home).position
        if any(not lo <= x <= hi for lo, x, hi in zip(low, at_m.tolist(), high)):
            yield (
                f"home_joints_rad puts the TCP at {np.round(at_m, 3).tolist()} m, outside the"
                f" workspace; expected it between {list(low)} and {list(high)}"
            )

    def _of_times(self) -> Iterator[str]:
        """Yield time limits that would be exceeded in normal operation."""
        teleop = self.teleop
        if self.limits.twist_timeout_s * teleop.rate_hz < 2.0 - 1e-9:
            yield (
                f"limits.twist_timeout_s is {self.limits.twist_timeout_s:g}; expected two periods"
                f" of teleop.rate_hz at least, {2.0 / teleop.rate_hz:g}"
            )

    def _of_cameras(self) -> Iterator[str]:
        timeout_s = self.limits.camera_timeout_s
        for name, camera in self.cameras.items():
            if _OWN_NAMES.fullmatch(name):
                yield f"cameras: {name!r} is reserved for this package; expected another name"
            late_s = max(0.0, camera.latency_s)
            if (timeout_s - late_s) * camera.rate_hz < 1.5:
                and_late = f", which are {late_s:.3g} s late" if late_s else ""
                yield (
                    f"limits.camera_timeout_s is {timeout_s:g}, but cameras.{name} has"
                    f" {1.0 / camera.rate_hz:.3g} s between images{and_late}; expected"
                    f" {1.5 / camera.rate_hz + late_s:.3g} at least"
                )
            if camera.driver == "external" and camera.latency_s:
                yield (
                    f"cameras.{name}: latency_s is {camera.latency_s:g}, but a driver outside of"
                    " this package stamps the images; expected that driver to be corrected instead"
                )
            if camera.driver != "cell":
                continue
            if self.cell is None:
                yield (
                    f"cameras.{name}: driver is cell, but this rig has no cell to draw its images;"
                    " expected opencv, realsense, or external and a ROS driver that publishes them"
                )
            elif name not in CELL_CAMERAS:
                yield f"cameras: {name!r} is not in the cell; expected {', '.join(CELL_CAMERAS)}"

    def _of_the_cell(self, cell: CellConfig) -> Iterator[str]:
        host = self.arm.host
        if not host:
            yield (
                f"arm.driver is {self.arm.driver}, but there is a cell, which emulates the"
                " controllers of ur and fr3 only; expected one of those, or no section cell"
            )
            return
        if not (host.startswith("127.") or host == "localhost"):
            yield (
                f"arm.host is {host}, but there is a cell, which runs on this machine only;"
                " expected an address of 127.x.x.x, or no section cell"
            )
        if self.gripper.host != host:
            yield (
                f"gripper.host is {self.gripper.host}, but the cell's gripper is at arm.host;"
                f" expected {host}"
            )
        if cell.fault_port in (*self.arm.ports, self.gripper.port):
            yield f"cell.fault_port is {cell.fault_port}, which another service has; expected 30999"


def load_rig(path: Path, sha256: str = "") -> Rig:
    """Return the rig that a YAML file describes, with what was calibrated of it.

    Args:
        path: `config/<rig>.yaml`.
        sha256: `Rig.file.sha256` of the rest of the system; empty for any.

    Raises:
        ValueError: If the file is missing, not YAML or does not match `sha256`, a key is unknown or
            missing, a value is invalid, or a result in `calibration/<rig>/` may not be used.
    """
    return _at_its_address(_calibrated(_nominal(read_rig_file(path, sha256))))


def load_nominal_rig(path: Path) -> Rig:
    """Return the rig as its own file describes it: for calibrating it, and for looking at results.

    Raises:
        ValueError: As `load_rig`, but whatever is in the results of calibrations.
    """
    return _at_its_address(_nominal(read_rig_file(path, calibrated=False)))


def require_usable(rig: Rig, name: str, content: Mapping[str, Any]) -> None:
    """Check that a system of this rig would start with a new result of a calibration.

    Args:
        rig: As `load_nominal_rig` returns it.
        name: Name of the result's file, without its ending.
        content: What would be in it.

    Raises:
        ValueError: With the reason why it would not.
    """
    file = dataclasses.replace(rig.file, calibration={name: content})
    rules = dataclasses.replace(rig.calibration, required=())
    _calibrated(dataclasses.replace(rig, file=file, calibration=rules))


def _nominal(file: RigFile) -> Rig:
    path = file.path
    for key in ("name", "file", "calibrated"):
        if key in file.content:
            raise ValueError(
                f"{named(path)}: unknown key {key!r}; remove it: it follows from the file"
            )
    content = {**file.content, "name": path.stem}
    rig = read_strictly(Rig, content, named(path), {Robot: ROBOTS})
    return dataclasses.replace(rig, file=file)


def _calibrated(rig: Rig) -> Rig:
    """Return the rig with the measured tool and latencies in place of its file's.

    Raises:
        ValueError: If a result may not be used with this rig.
    """
    folder = calibration_folder(rig.file.path)
    found = judged_calibration(
        rig.file.calibration, folder, rig.name, rig.cameras, rig.calibration, rig.file.read_on
    )
    if not found.files:
        return rig
    tool, latency, cameras = rig.tool, rig.latency, dict(rig.cameras)
    if found.tool is not None:
        tool = dataclasses.replace(tool, position_m=found.tool.position_m)
        off_m = math.dist(tool.position_m, rig.tool.position_m)
        if off_m > rig.calibration.max_tool_change_m:
            raise ValueError(
                f"{named(folder / TOOL)}.yaml: position_m is {off_m:.4f} m from tool.position_m of"
                f" the rig, {list(rig.tool.position_m)}; expected at most"
                f" calibration.max_tool_change_m, {rig.calibration.max_tool_change_m:g}: correct"
                " the rig's file if it is another tool, or measure it anew (carp calibrate tool)"
            )
    for device, result in found.latencies.items():
        if device == ACTION:
            latency = dataclasses.replace(latency, action_s=result.latency_s)
        elif device == GRIPPER:
            latency = dataclasses.replace(latency, gripper_s=result.latency_s)
        else:
            camera = dataclasses.replace(cameras[device], latency_s=result.latency_s)
            cameras[device] = camera
    calibrated = dataclasses.replace(
        rig, tool=tool, latency=latency, cameras=cameras, calibrated=found
    )
    for problem in _contradictions(calibrated):
        raise ValueError(f"{named(folder)}: {problem}: measure it anew, or move its file away")
    return calibrated


def _contradictions(rig: Rig) -> Iterator[str]:
    """Yield what is wrong with a rig once measured values have replaced its file's."""
    sections = {"tool": rig.tool, "latency": rig.latency}
    sections |= {f"cameras.{name}": camera for name, camera in rig.cameras.items()}
    for name, section in sections.items():
        kinds = typing.get_type_hints(type(section), include_extras=True)
        for item in dataclasses.fields(section):
            value = getattr(section, item.name)
            if expected := broken_rule(kinds[item.name], value):
                yield f"{name}.{item.name} becomes {value}; expected {expected}"
    yield from rig.contradictions()


def _at_its_address(rig: Rig) -> Rig:
    """Return the rig with the address of its simulated robot in this system."""
    address = os.environ.get(CELL_ADDRESS)
    if rig.cell is None or not address:
        return rig
    gripper = rig.gripper
    if gripper.host == rig.arm.host:
        gripper = dataclasses.replace(gripper, host=address)
    return dataclasses.replace(rig, arm=dataclasses.replace(rig.arm, host=address), gripper=gripper)
