"""`carp calibrate intrinsics`, `hand-eye` and `camera-to-base`, from images on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from carp_ros.calibrated.board import Board
from carp_ros.calibrated.result_file import (
    CameraIntrinsics,
    CameraPose,
    Provenance,
    load_result,
)
from carp_ros.calibration.board import BoardDetector, BoardView
from carp_ros.calibration.coverage import (
    ENOUGH_COVERAGE,
    ENOUGH_VIEWS,
    Coverage,
    coverage_of,
    next_view,
    suffices,
)
from carp_ros.calibration.hand_eye import (
    ArmView,
    calibrate_fixed_camera,
    calibrate_wrist_camera,
)
from carp_ros.calibration.intrinsics import calibrate_intrinsics
from carp_ros.calibration.pictures import write_fit_picture
from carp_ros.calibration.projection import camera_from_board, view_error_px
from carp_ros.calibration.readings import POSES, image_paths, load_board, load_image, load_poses
from carp_ros.calibration.transforms import inverse, matrix_from_pose
from carp_ros.cli import calibrate_live
from carp_ros.cli.calibrate import HandEyeCommand, IntrinsicsCommand
from carp_ros.cli.calibrate_result import keep_result, result_folder
from carp_ros.cli.main import EXIT_INTERRUPTED
from carp_ros.errors import CalibrationError
from carp_ros.hardware.pinhole import guessed_intrinsics
from carp_ros.refusal import named
from carp_ros.rig import load_nominal_rig
from carp_ros.rig_cameras import optical_frame
from carp_ros.system.bringup import rig_path
from carp_ros.types import Array, Intrinsics


@dataclass(frozen=True)
class _Seen:
    """The views of a folder of images, and the images' size."""

    views: list[BoardView]
    size_px: tuple[int, int]


def run_intrinsics(command: IntrinsicsCommand) -> int:
    """Calibrate a camera, print and write the result; return 0."""
    rig, board = load_nominal_rig(rig_path(command.rig)), load_board(command.board)
    section = calibrate_live.require_camera(rig, command.camera)
    size_px = (section.width_px, section.height_px)
    if command.live:
        guess = guessed_intrinsics(*size_px, optical_frame(command.camera))
        if not calibrate_live.run_views(rig, command, board, guess, needs_arm=False):
            return EXIT_INTERRUPTED
    seen = _seen(
        image_paths(command.images),
        board,
        size_px,
        f"cameras.{command.camera} of the rig",
    )
    fit = calibrate_intrinsics(
        seen.views, board, seen.size_px, optical_frame(command.camera), with_k3=command.wide_angle
    )
    (fx, _, cx), (_, fy, cy) = fit.intrinsics.matrix[:2].tolist()
    width, height = seen.size_px
    used = len(seen.views) - len(fit.outliers)
    result = CameraIntrinsics(
        kind="intrinsics",
        camera=command.camera,
        width_px=width,
        height_px=height,
        focal_px=(fx, fy),
        centre_px=(cx, cy),
        distortion=fit.intrinsics.distortion,
        focal_std_px=fit.focal_std_px,
        centre_std_px=fit.centre_std_px,
        provenance=Provenance(
            rig=rig.name,
            date=date.today().isoformat(),
            method="views of a ChArUco board, plumb_bob model (OpenCV calibrateCamera)",
            source=named(command.images),
            readings=used,
            outliers=fit.outliers,
            serial_number=command.serial_number,
            residual_px=fit.residual_px,
            board=board,
        ),
    )
    folder = result_folder(command.folder, rig)
    path = keep_result(folder, f"{command.camera}_intrinsics", result, rig)
    poses = [camera_from_board(view, board, fit.intrinsics) for view in seen.views]
    print(
        f"focal length  {fx:.2f}, {fy:.2f} px (standard error {fit.focal_std_px:.2f})\n"
        f"centre        {cx:.2f}, {cy:.2f} px (standard error {fit.centre_std_px:.2f})\n"
        f"distortion    {', '.join(f'{k:.4f}' for k in fit.intrinsics.distortion)}\n"
        f"residual      {fit.residual_px:.3f} px RMS over {used} views"
    )
    _finish(command, path, seen, board, fit.intrinsics, poses, fit.outliers)
    return 0


def run_pose(command: HandEyeCommand, *, is_fixed: bool) -> int:
    """Find where a camera is, print and write the result; return 0."""
    rig, board = load_nominal_rig(rig_path(command.rig)), load_board(command.board)
    folder = result_folder(command.folder, rig)
    given = command.intrinsics or folder / f"{command.camera}_intrinsics.yaml"
    measured = load_result(given, CameraIntrinsics)
    intrinsics = measured.intrinsics
    calibrate_live.require_camera(rig, command.camera)
    if command.live and not calibrate_live.run_views(
        rig, command, board, intrinsics, needs_arm=True
    ):
        return EXIT_INTERRUPTED
    poses = load_poses(command.images / POSES)
    paths = image_paths(command.images)
    for path in (path for path in paths if path.name not in poses):
        print(f"left out: {named(path)} has no pose in {POSES}")
    size_px = (intrinsics.width_px, intrinsics.height_px)
    seen = _seen([path for path in paths if path.name in poses], board, size_px, named(given))
    views = [ArmView(view, poses[view.name]) for view in seen.views]
    calibrate = calibrate_fixed_camera if is_fixed else calibrate_wrist_camera
    fit = calibrate(views, board, intrinsics, (measured.focal_std_px, measured.centre_std_px))
    pose, used = fit.mount_from_camera, len(views) - len(fit.outliers)
    x, y, z = pose.position.tolist()
    qx, qy, qz, qw = pose.quaternion.tolist()
    parent = "base" if is_fixed else "flange"
    result = CameraPose(
        kind="camera_pose",
        camera=command.camera,
        parent=parent,
        position_m=(x, y, z),
        quaternion=(qx, qy, qz, qw),
        position_std_mm=1e3 * fit.position_std_m,
        rotation_std_deg=float(np.degrees(fit.rotation_std_rad)),
        provenance=Provenance(
            rig=rig.name,
            date=date.today().isoformat(),
            method="AX = XB from robust triples, then weighted reprojection error with a free lens",
            source=named(command.images),
            readings=used,
            outliers=fit.outliers,
            serial_number=command.serial_number,
            residual_px=fit.residual.px,
            residual_mm=fit.residual.mm,
            residual_deg=fit.residual.deg,
            board=board,
        ),
    )
    path = keep_result(folder, f"{command.camera}_pose", result, rig)
    print(
        f"{parent}_from_{command.camera}\n"
        f"position      {x:.4f}, {y:.4f}, {z:.4f} m"
        f" (standard error {1e3 * fit.position_std_m:.2f} mm)\n"
        f"quaternion    {qx:.5f}, {qy:.5f}, {qz:.5f}, {qw:.5f}"
        f" (standard error {np.degrees(fit.rotation_std_rad):.3f} deg)\n"
        f"residual      {fit.residual.px:.3f} px, {fit.residual.mm:.2f} mm,"
        f" {fit.residual.deg:.3f} deg RMS over {used} views"
    )
    mount_from_camera, carrier_from_board = map(
        matrix_from_pose, (fit.mount_from_camera, fit.carrier_from_board)
    )
    flanges = [matrix_from_pose(view.base_from_flange) for view in views]
    arm = flanges if is_fixed else [inverse(flange) for flange in flanges]
    predicted = [inverse(mount_from_camera) @ a @ carrier_from_board for a in arm]
    _finish(command, path, seen, board, fit.intrinsics, predicted, fit.outliers)
    return 0


def _seen(paths: Sequence[Path], board: Board, size_px: tuple[int, int], says_so: str) -> _Seen:
    """Find the board in images; those that can't be used are named, and left out.

    Args:
        paths: The images.
        board: The board.
        size_px: Width and height that the images must have.
        says_so: Whence `size_px` is.

    Raises:
        ValueError: If no image has that size.
    """
    detector, views, others = BoardDetector(board), [], set()
    has_size = False
    for path in paths:
        try:
            image = load_image(path)
        except CalibrationError as error:
            print(f"left out: {error}")
            continue
        found_px = (image.shape[1], image.shape[0])
        if found_px != size_px:
            print(f"left out: {named(path)} is {_in_px(found_px)}; expected {_in_px(size_px)}")
            others.add(found_px)
            continue
        has_size = True
        view = detector.detect(path.name, image)
        if view is None:
            print(f"left out: {named(path)} does not show enough of the board")
        else:
            views.append(view)
    if not has_size:
        raise ValueError(
            f"the images are {' and '.join(map(_in_px, sorted(others))) or 'unreadable'}, but"
            f" {says_so} has {_in_px(size_px)}; expected that size, as intrinsics hold for one"
            " size only"
        )
    return _Seen(views, size_px)


def _in_px(size_px: tuple[int, int]) -> str:
    return f"{size_px[0]} x {size_px[1]} px"


def _finish(
    command: IntrinsicsCommand | HandEyeCommand,
    path: Path,
    seen: _Seen,
    board: Board,
    intrinsics: Intrinsics,
    poses: Sequence[Array],
    outliers: Sequence[str],
) -> None:
    """Name what was left out and what is wanting, and draw."""
    errors: Mapping[str, Array] = {
        view.name: view_error_px(view, board, intrinsics, pose)
        for view, pose in zip(seen.views, poses)
    }
    for name in outliers:
        rms_px = float(np.sqrt((errors[name] ** 2).sum(axis=1).mean()))
        print(f"left out: {name} disagrees with the others: {rms_px:.2f} px RMS")
    coverage: Coverage = coverage_of(seen.views, seen.size_px)
    is_pose = isinstance(command, HandEyeCommand)
    if not suffices(coverage, poses, needs_turns=is_pose):
        varied = "turned" if is_pose else f"over {100 * ENOUGH_COVERAGE:.0f} % of the image"
        print(
            f"advice        {len(seen.views)} views cover {100 * coverage.fraction:.0f} % of the"
            f" image; expected {ENOUGH_VIEWS}, tilted to all sides and {varied}. Next, show"
            f" {next_view(coverage, poses, needs_turns=is_pose).words}"
        )
    picture = command.picture or path.with_suffix(".png")
    write_fit_picture(picture, seen.views, errors, outliers, coverage)
    print(f"result        {path}\npicture       {picture}")
