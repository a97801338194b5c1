"""The guided mode of `carp calibrate`: takes views and poses of a rig that runs in teleoperation.

What is taken goes into a folder in the form that the verbs read from disk, one by one, so that
Ctrl-C, a power cut or a lost network costs nothing: with --live again it goes on, and without it
the verb calculates from what is there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import BoardDetector, BoardView
from carp_ros.calibration.guide import STILL_RAD_S, Moment, ViewGuide, coverage_map
from carp_ros.calibration.latency import Signal
from carp_ros.calibration.projection import camera_from_board
from carp_ros.calibration.readings import (
    POSES,
    image_paths,
    load_image,
    load_poses,
)
from carp_ros.calibration.transforms import distance as distance_between
from carp_ros.calibration.transforms import matrix_from_pose
from carp_ros.errors import CalibrationError
from carp_ros.files.plain_yaml import yaml_from_mapping
from carp_ros.files.whole_file import whole_file
from carp_ros.types import Array, Intrinsics, Pose

_PAUSE_S = 0.02
_SILENT_S = 5.0
_STEADY_S = 1.0
_TURNED_RAD = 0.17
_BACK_NS = 500_000_000  # more than images that overtake each other
ENOUGH_TOUCHES = 10
_NO_IMAGE = (
    f"no image for {_SILENT_S:g} s; expected the rig to be running in teleop (carp up) with this"
    " camera"
)


class RigSource(Protocol):
    """What the guided mode needs of a running rig; `CalibrationNode`, or a fake in tests."""

    def moment(self) -> Moment | None:
        """Return what is seen now; None until there is a new image."""
        ...

    def flange(self) -> tuple[Pose, float] | None:
        """Return `base_from_flange` and the fastest joint's speed; None before the first state.

        The speed is NaN if it is not known.
        """
        ...


def take_views(
    source: RigSource,
    folder: Path,
    board: Board,
    intrinsics: Intrinsics,
    *,
    needs_arm: bool,
    say: Callable[[str], None] = print,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Guide a person until the views suffice.

    Args:
        source: The running rig.
        folder: Where images and poses go; views that are there count.
        board: The board.
        intrinsics: Of the camera; a guess will do.
        needs_arm: Whether each view needs the flange's pose.
        say: Shows a line.
        sleep: Waits for the next image.

    Returns:
        Whether they suffice; false if the person pressed Ctrl-C.

    Raises:
        CalibrationError: If no image comes, or it has another size.
    """
    folder.mkdir(parents=True, exist_ok=True)
    detector = BoardDetector(board)
    poses = dict(load_poses(folder / POSES)) if (folder / POSES).exists() else {}
    known = _known_views(folder, detector, poses if needs_arm else None)
    guide = ViewGuide(detector, intrinsics, needs_arm=needs_arm, taken=known)
    if known:
        say(f"{len(known)} views are in {folder} already")
    said = ""
    try:
        _show(guide, say)
        while not guide.done:
            moment = _next_moment(source, sleep)
            _require_size(moment, intrinsics)
            name = _free_name(folder, poses)
            advice = guide.look(name, moment)
            if advice.taken is not None:
                _save(folder, name, moment, poses)
                say(f"taken: {name}")
                _show(guide, say)
                said = ""
            elif advice.wait.value != said:
                said = advice.wait.value
                say(f"  {said}")
    except KeyboardInterrupt:
        say(f"\n{len(guide.views)} views are kept in {folder}: --live again goes on with them")
        return False
    return True


def take_touches(
    source: RigSource,
    path: Path,
    *,
    confirmed: Callable[[str], bool],
    say: Callable[[str], None] = print,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Take poses of the flange with the tip on one point, each when a person says so.

    Args:
        source: The running rig.
        path: Where the poses go; those that are there count.
        confirmed: Asks a person with a text; false ends.
        say: Shows a line.
        sleep: Waits for the arm's state.

    Returns:
        Whether they suffice; false if the person ended it before.

    Raises:
        CalibrationError: If no state of the arm comes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    poses = dict(load_poses(path)) if path.exists() else {}
    try:
        while len(poses) < ENOUGH_TOUCHES:
            asked = (
                f"{len(poses)} of {ENOUGH_TOUCHES}. Bring the tip onto the point, tilted"
                " otherwise than before by 10 deg or more, let go, then press Enter"
            )
            if not confirmed(asked):
                break
            flange = _steady_flange(source, sleep)
            if flange is None:
                say("  the arm moves: hold still, then press Enter")
            elif any(_resembles(flange, other) for other in poses.values()):
                say("  the tool is tilted as before: tilt it by 10 deg or more")
            else:
                poses[f"touch_{len(poses):02d}"] = flange
                _write_poses(path, poses)
    except KeyboardInterrupt:
        say("")
    say(f"{len(poses)} poses are in {path}")
    return len(poses) >= ENOUGH_TOUCHES


def track_board(
    source: RigSource,
    detector: BoardDetector,
    intrinsics: Intrinsics,
    seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Signal:
    """Return where the board is in a camera while somebody moves one of them, by images' stamps.

    Args:
        source: The running rig.
        detector: Finds the board.
        intrinsics: Of the camera; a guess will do, as only the time of the motion counts.
        seconds: How long, by the images' stamps.
        sleep: Waits for the next image.

    Raises:
        CalibrationError: If no image comes, too few show the board, or a clock was set back.
    """
    times: list[int] = []
    places: list[Array] = []
    first_ns: int | None = None
    while True:
        moment = _next_moment(source, sleep)
        first_ns = moment.stamp_ns if first_ns is None else first_ns
        if times and moment.stamp_ns < times[-1] - _BACK_NS:
            raise CalibrationError(
                f"the images' stamps went back by {1e-9 * (times[-1] - moment.stamp_ns):.1f} s: a"
                " clock was set; record again when the clocks are synchronised"
            )
        if moment.stamp_ns - first_ns > seconds * 1e9:
            break
        _require_size(moment, intrinsics)
        view = detector.detect("", moment.image)
        if view is not None and (not times or moment.stamp_ns > times[-1]):
            times.append(moment.stamp_ns)
            places.append(camera_from_board(view, detector.board, intrinsics)[:3, 3])
    if len(times) < 2:
        raise CalibrationError(
            f"the board was seen in {len(times)} images; expected it to be seen all the time"
        )
    return Signal(np.array(times, dtype=np.int64), np.array(places))


def write_signal(path: Path, signal: Signal) -> None:
    """Write a recording as a CSV file, as `load_signal` reads it."""
    columns = ",".join(["time_s", *(f"value_{n}" for n in range(signal.values.shape[1]))])
    rows = (
        ",".join([f"{t * 1e-9:.9f}", *(f"{v:.9g}" for v in values)])
        for t, values in zip(signal.times_ns.tolist(), signal.values.tolist())
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as draft:
        draft.write_text("\n".join([columns, *rows]) + "\n", encoding="utf-8")


def pressed_enter(text: str) -> bool:
    """Ask a person on the terminal; false at the end of the input."""
    print(text, flush=True)
    return bool(sys.stdin.readline())


def _next_moment(source: RigSource, sleep: Callable[[float], None]) -> Moment:
    """Wait for a new image.

    Raises:
        CalibrationError: If none comes.
    """
    silent_s = 0.0
    while (moment := source.moment()) is None:
        silent_s += _PAUSE_S
        if silent_s > _SILENT_S:
            raise CalibrationError(_NO_IMAGE)
        sleep(_PAUSE_S)
    return moment


def _steady_flange(source: RigSource, sleep: Callable[[float], None]) -> Pose | None:
    """Return the flange's pose after it stood still for a moment; None if it moves."""
    flange = None
    for _ in range(round(_STEADY_S / _PAUSE_S)):
        found = source.flange()
        if found is not None:
            flange, speed = found
            if not speed <= STILL_RAD_S:  # also of NaN, which is not known
                return None
        sleep(_PAUSE_S)
    if flange is None:
        raise CalibrationError(
            "no state of the arm; expected the rig to be running in teleop (carp up)"
        )
    return flange


def _resembles(a: Pose, b: Pose) -> bool:
    return distance_between(matrix_from_pose(a), matrix_from_pose(b))[1] < _TURNED_RAD


def _known_views(
    folder: Path, detector: BoardDetector, poses: Mapping[str, Pose] | None
) -> list[BoardView]:
    """Return the views of an earlier attempt; with `poses`, only those that have one."""
    views = []
    for path in image_paths(folder) if any(folder.glob("*.png")) else []:
        if poses is not None and path.name not in poses:
            continue
        try:
            view = detector.detect(path.name, load_image(path))
        except CalibrationError:
            continue  # the verb names it when it calculates
        if view is not None:
            views.append(view)
    return views


def _show(guide: ViewGuide, say: Callable[[str], None]) -> None:
    say(
        f"{coverage_map(guide.coverage)}\n{len(guide.views)} views cover"
        f" {100 * guide.coverage.fraction:.0f} % of the image. Next, show {guide.next}"
    )


def _require_size(moment: Moment, intrinsics: Intrinsics) -> None:
    height, width = moment.image.shape[:2]
    if (width, height) != (intrinsics.width_px, intrinsics.height_px):
        raise CalibrationError(
            f"the camera sends {width} x {height} px; expected {intrinsics.width_px} x"
            f" {intrinsics.height_px}, as the rig and its intrinsics say"
        )


def _free_name(folder: Path, poses: Mapping[str, Pose]) -> str:
    """Return a name that neither an image has, nor a pose whose image was deleted."""
    number = len(list(folder.glob("view_*.png")))
    while (folder / f"view_{number:02d}.png").exists() or f"view_{number:02d}.png" in poses:
        number += 1
    return f"view_{number:02d}.png"


def _save(folder: Path, name: str, moment: Moment, poses: dict[str, Pose]) -> None:
    """Save a view; the pose first, so that no image is without one."""
    if moment.base_from_flange is not None:
        poses[name] = moment.base_from_flange
        _write_poses(folder / POSES, poses)
    bgr = cv2.cvtColor(np.ascontiguousarray(moment.image), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".png", bgr)
    with whole_file(folder / name) as draft:
        draft.write_bytes(data.tobytes())


def _write_poses(path: Path, poses: Mapping[str, Pose]) -> None:
    table = {
        name: {"position_m": pose.position.tolist(), "quaternion": pose.quaternion.tolist()}
        for name, pose in poses.items()
    }
    with whole_file(path) as draft:
        draft.write_text(yaml_from_mapping({"poses": table}), encoding="utf-8")
