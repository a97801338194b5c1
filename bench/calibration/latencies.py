"""Latencies of camera, arm and gripper in the cell, with delays put in."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from bench.calibration.views import on_the_table
from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import BoardDetector
from carp_ros.calibration.latency import Signal, measure_latency
from carp_ros.calibration.projection import camera_from_board
from carp_ros.calibration.transforms import pose_from_matrix
from carp_ros.control.kinematics import Kinematics
from carp_ros.rig import Rig
from carp_ros.sim.board import BoardProps
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.types import Array, Pose

_BOARD = Board(6, 4, 0.055, 0.042)  # large: the rig's images are small
_SECONDS = 6.0
_FRAME_STEPS = 50  # 10 Hz
_JITTER_S = 0.002
_AMPLITUDE_M = 0.05
_HEIGHT_M = -0.03


@dataclasses.dataclass(frozen=True)
class _Run:
    """What was recorded of one motion."""

    commands: Signal
    measured: Signal
    gripper_commands: Signal
    gripper_measured: Signal
    tool: Signal
    pictures: Signal | None


def latency_row(rig: Rig, seed: int) -> dict[str, Any]:
    """Measure the three latencies with one motion, and return the errors in [ms]."""
    rng = np.random.default_rng([seed, 7])
    camera_s, action_s, gripper_s = rng.uniform(0.01, 0.2, 3)
    way, closures = _motion(rig, rng)
    action_steps, gripper_steps = round(action_s / 0.002), round(gripper_s / 0.002)
    own = _run(rig, way, closures, 0, 0, is_seen=False)
    run = _run(rig, way, closures, action_steps, gripper_steps, is_seen=True)
    assert run.pictures is not None
    jitter_ns = rng.normal(0.0, _JITTER_S * 1e9, len(run.pictures.times_ns))
    late = run.pictures.times_ns + np.round(camera_s * 1e9 + jitter_ns).astype(np.int64)
    camera = measure_latency(run.tool, Signal(late, run.pictures.values))
    own_action = measure_latency(own.commands, own.measured)
    action = measure_latency(run.commands, run.measured)
    own_gripper = measure_latency(own.gripper_commands, own.gripper_measured)
    gripper = measure_latency(run.gripper_commands, run.gripper_measured)
    return {
        "seed": seed,
        "camera_ms": _error_ms(camera.latency_s - camera_s),
        "action_ms": _error_ms(action.latency_s - own_action.latency_s - 0.002 * action_steps),
        "gripper_ms": _error_ms(gripper.latency_s - own_gripper.latency_s - 0.002 * gripper_steps),
        "own_action_ms": round(1e3 * own_action.latency_s, 3),
        "own_gripper_ms": round(1e3 * own_gripper.latency_s, 3),
    }


def _error_ms(error_s: float) -> float:
    return round(float(abs(1e3 * error_s)), 3)


def _motion(rig: Rig, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return joint positions (N, J) and closures (N,), every 2 ms, of an irregular motion."""
    times_s = np.arange(0.0, _SECONDS, 0.002)
    ramp = np.minimum(1.0, times_s)
    along, closing = (_irregular(times_s, rng) * ramp for _ in range(2))
    kinematics = Kinematics(rig.robot, rig.tool.flange_from_tcp)
    home = np.array(rig.home_joints_rad)
    start = kinematics.tcp_pose(home)
    every = 10
    coarse, joints = [], home
    for way in along[::every]:
        place = start.position + np.array([0.0, _AMPLITUDE_M * way, _HEIGHT_M])
        joints = kinematics.solve(Pose(place, start.quaternion), joints)
        coarse.append(joints)
    numbers = np.arange(len(times_s)) / every
    way = np.column_stack(
        [np.interp(numbers, np.arange(len(coarse)), column) for column in np.array(coarse).T]
    )
    return way, 0.5 + 0.3 * closing


def _irregular(times_s: Array, rng: np.random.Generator) -> Array:
    """Return a motion of size 1 that does not repeat itself."""
    rates_hz = np.array([0.31, 0.53, 0.83]) * rng.uniform(0.9, 1.1, 3)
    waves = np.sin(2 * np.pi * rates_hz * times_s[:, None] + rng.uniform(0, 2 * np.pi, 3))
    return waves.mean(axis=1)


def _run(
    rig: Rig, way: Array, closures: Array, delay: int, gripper_delay: int, *, is_seen: bool
) -> _Run:
    """Follow a motion, each command late by a number of steps, and record it."""
    props = BoardProps(_BOARD, pose_from_matrix(on_the_table(_BOARD)), in_gripper=False)
    wrist = {"wrist_cam": rig.cameras["wrist_cam"]}
    cell = Cell(dataclasses.replace(rig, cameras=wrist), props, visuals=is_seen)
    cameras = Cameras(cell) if is_seen else None
    detector = BoardDetector(_BOARD)
    # Where the board's middle is seen hardly depends on the error of its tilt.
    middle = np.array([_BOARD.width_m / 2, _BOARD.height_m / 2, 0.0, 1.0])
    cell.place_arm(way[0])
    times, joints, closure, tool, seen_times, seen = [], [], [], [], [], []
    for number in range(len(way)):
        cell.drive(way[max(0, number - delay)], float(closures[max(0, number - gripper_delay)]))
        times.append(cell.time_ns)
        joints.append(cell.joints.copy())
        closure.append([cell.gripper_closure])
        tool.append(cell.tcp_pose.position)
        if cameras is not None and number % _FRAME_STEPS == 0:
            view = detector.detect("", cameras.render("wrist_cam"))
            if view is not None:
                pose = camera_from_board(view, _BOARD, cameras.intrinsics("wrist_cam"))
                seen_times.append(cell.time_ns)
                seen.append((pose @ middle)[:3])
        cell.advance()
    if cameras is not None:
        cameras.close()
    stamps = np.array(times)
    return _Run(
        Signal(stamps, way),
        Signal(stamps, np.array(joints)),
        Signal(stamps, closures[:, None]),
        Signal(stamps, np.array(closure)),
        Signal(stamps, np.array(tool)),
        Signal(np.array(seen_times), np.array(seen)) if is_seen else None,
    )
