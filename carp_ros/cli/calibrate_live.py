"""`carp calibrate --live`: joins the running rig, and records there what the verbs then read."""

from __future__ import annotations

import time
from pathlib import Path

from carp_ros.calibrated.board import Board
from carp_ros.calibrated.rig_calibration import ACTION, GRIPPER
from carp_ros.calibration.board import BoardDetector
from carp_ros.calibration.latency import Signal
from carp_ros.calibration.readings import load_board
from carp_ros.cli.calibrate import HandEyeCommand, IntrinsicsCommand, LatencyCommand
from carp_ros.cli.guided_recording import (
    pressed_enter,
    take_touches,
    take_views,
    track_board,
    write_signal,
)
from carp_ros.errors import CalibrationError
from carp_ros.hardware.pinhole import guessed_intrinsics
from carp_ros.processes.ros_environment import enter
from carp_ros.rig import Rig, load_rig
from carp_ros.rig_cameras import CameraConfig, optical_frame
from carp_ros.types import Intrinsics

_SIGNALS = {ACTION: ("target_pose", "tool_pose"), GRIPPER: ("gripper_command", "gripper_state")}


def require_camera(rig: Rig, camera: str) -> CameraConfig:
    """Return the section of a camera that the running rig must have.

    Raises:
        ValueError: If the rig has none of that name.
    """
    section = rig.cameras.get(camera)
    if section is None:
        known = ", ".join(rig.cameras) or "none"
        raise ValueError(f"--camera is {camera!r}; expected one that the rig has: {known}")
    return section


def run_views(
    rig: Rig,
    command: IntrinsicsCommand | HandEyeCommand,
    board: Board,
    intrinsics: Intrinsics,
    *,
    needs_arm: bool,
) -> bool:
    """Take views of the running rig; return whether they suffice."""
    enter()
    from carp_ros.clients.calibration_node import calibration_node

    with calibration_node(rig, command.camera) as node:
        return take_views(node, command.images, board, intrinsics, needs_arm=needs_arm)


def run_touches(rig: Rig, path: Path) -> bool:
    """Take poses of the running rig with the tip on one point; return whether they suffice."""
    enter()
    from carp_ros.clients.calibration_node import calibration_node

    with calibration_node(rig) as node:
        return take_touches(node, path, confirmed=pressed_enter)


def record_latency(rig: Rig, command: LatencyCommand) -> None:
    """Record both signals of a motion of the running rig.

    A camera's stamps are written as the driver made them, without the latency that is subtracted
    already: what is measured then replaces it, instead of being measured on top.

    Raises:
        CalibrationError: If the rig sends nothing.
    """
    enter()
    from carp_ros.clients.calibration_node import calibration_node

    device = command.device
    camera = device if device in rig.cameras else ""
    first, second = _SIGNALS.get(device, ("tool_pose", ""))
    with calibration_node(rig, camera) as node:
        node.record_signals(*filter(None, (first, second)))
        print(
            f"move {'the gripper' if device == GRIPPER else 'the arm'} irregularly, for"
            f" {command.record_s:g} s, beginning now",
            flush=True,
        )
        if camera:
            section = rig.cameras[camera]
            guess = guessed_intrinsics(section.width_px, section.height_px, optical_frame(camera))
            detector = BoardDetector(load_board(command.board))
            seen = track_board(node, detector, guess, command.record_s)
            in_force_s = load_rig(rig.file.path).cameras[camera].latency_s
            late = Signal(seen.times_ns + round(in_force_s * 1e9), seen.values)
        else:
            time.sleep(command.record_s)
            late = node.signal(second)
        early = node.signal(first)
    for name, signal in ((first, early), (second, late)):
        if len(signal.times_ns) < 2:
            raise CalibrationError(
                f"{name or camera} sent {len(signal.times_ns)} values; expected the rig to be"
                " running in teleop (carp up)"
            )
    write_signal(command.first, early)
    write_signal(command.second, late)
