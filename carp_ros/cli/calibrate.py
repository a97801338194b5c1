"""`carp calibrate`: a board to print, then cameras, tool and latencies, live or from files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from carp_ros.cli.options import Text
from carp_ros.strict import Between, Name


@dataclass(frozen=True)
class BoardCommand:
    """Draw a ChArUco board to print, and write its layout beside the picture, as .yaml.

    Print at 100 %, glue the paper onto something flat and stiff, measure a square, and correct
    square_m and marker_m in the .yaml if they differ. Pass that file to the other verbs as --board.

    Attributes:
        out: The picture: .pdf, which has the size of the page, or .png.
        columns: Number of squares along the long side.
        rows: Number of squares along the short side.
        square_m: Side of a square in [m].
        marker_m: Side of a marker in [m].
        dictionary: ArUco dictionary of the markers.
        page: Size of the paper, in landscape.
    """

    out_is_file: ClassVar[bool] = True

    out: Path
    columns: Annotated[int, Between(3, 40)] = 9
    rows: Annotated[int, Between(3, 40)] = 6
    square_m: Annotated[float, Between(0.004, 0.5)] = 0.030
    marker_m: Annotated[float, Between(0.002, 0.5)] = 0.023
    dictionary: Literal["4x4_50", "4x4_100", "5x5_100", "5x5_250", "6x6_250"] = "4x4_50"
    page: Literal["A4", "A3", "A2", "letter"] = "A4"


@dataclass(frozen=True)
class IntrinsicsCommand:
    """Calibrate a camera's focal lengths, principal point and distortion from images of a board.

    With --live, while the rig runs (carp up), images are taken for you and the next one is named.
    Take 15 images or more, at the size that the rig uses: the board in all parts of the image,
    tilted by 20 to 40 degrees in all directions, sharp, and at rest.

    Attributes:
        images: Folder of images, as captured; with --live, for those that are taken.
        camera: Name of the camera in the rig.
        rig: A rig's file, or the name of one in config/.
        board: The board's layout, a .yaml of `carp calibrate board`; default: that verb's default.
        serial_number: Of the camera, to be kept in the result.
        live: Take images from the running rig first, until they suffice or you press Ctrl-C.
        wide_angle: Also fit the third radial coefficient k3.
        picture: PNG file for coverage and reprojection errors; default: beside the result.
        folder: Folder for the result; default: calibration/<rig>/.
    """

    images: tyro.conf.Positional[Path]
    camera: Name
    rig: Text = "ur5e"
    board: Path | None = None
    serial_number: Text = ""
    live: bool = False
    wide_angle: bool = False
    picture: Path | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class HandEyeCommand:
    """Find where a camera is on the wrist, from images of a board that lies still.

    With --live, while the rig runs in teleoperation (carp up), images and poses are taken for you
    whenever the arm stands still, and the next view is named. Else the folder has images and a file
    poses.yaml with the flange's pose in the base for each of them (doc/calibrate.md). Take 15 or
    more, with the arm at rest: tilt the tool by 20 to 40 degrees to all sides, and turn it so that
    the board is seen upright in some images, and turned by 60 degrees in others.

    Attributes:
        images: Folder of images, with poses.yaml; with --live, for those that are taken.
        camera: Name of the camera in the rig.
        rig: A rig's file, or the name of one in config/.
        board: The board's layout, a .yaml of `carp calibrate board`; default: that verb's default.
        intrinsics: Result of `carp calibrate intrinsics`; default: the one in the result's folder.
        serial_number: Of the camera, to be kept in the result.
        live: Take views from the running rig first, until they suffice or you press Ctrl-C.
        picture: PNG file for coverage and reprojection errors; default: beside the result.
        folder: Folder for the result; default: calibration/<rig>/.
    """

    images: tyro.conf.Positional[Path]
    camera: Name
    rig: Text = "ur5e"
    board: Path | None = None
    intrinsics: Path | None = None
    serial_number: Text = ""
    live: bool = False
    picture: Path | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class CameraToBaseCommand(HandEyeCommand):
    """Find where a fixed camera is, from images of a board that the arm holds.

    Like hand-eye, but the board is mounted firmly on the flange or in the gripper, and the camera
    stands still.
    """


@dataclass(frozen=True)
class ToolCommand:
    """Find the tool centre point by pivoting: its tip stays on one point in all poses.

    Fix a pointed object, bring the tip onto it from 10 directions or more, tilted by 30 degrees or
    more, and record the flange's pose each time.

    Attributes:
        poses: YAML file with the flange's poses in the base (doc/calibrate.md); with --live, for
            those that are taken.
        rig: A rig's file, or the name of one in config/.
        live: Take poses from the running rig first, one at each press of Enter.
        folder: Folder for the result; default: calibration/<rig>/.
    """

    poses: tyro.conf.Positional[Path]
    rig: Text = "ur5e"
    live: bool = False
    folder: Path | None = None


@dataclass(frozen=True)
class LatencyCommand:
    """Measure how much later one recording shows a motion than another.

    Each is a CSV file: a line of names, then the time in seconds, by one clock in both, and one or
    more values. Move irregularly, for ten seconds.

    Attributes:
        first: What was commanded; for a camera, the tool's measured position.
        second: What was measured; for a camera, a position seen in its images, by their stamps.
        device: What is late: a camera of the rig, `action` or `gripper`.
        longest_s: Longest delay to consider.
        rig: A rig's file, or the name of one in config/.
        live: Record both files from the running rig first, for --record-s seconds.
        record_s: How long to record.
        board: The board that a camera sees, a .yaml of `carp calibrate board`.
        folder: Folder for the result; default: calibration/<rig>/.
    """

    first: tyro.conf.Positional[Path]
    second: tyro.conf.Positional[Path]
    device: Name
    longest_s: Annotated[float, Between(0.05, 5.0)] = 0.5
    rig: Text = "ur5e"
    live: bool = False
    record_s: Annotated[float, Between(5.0, 120.0)] = 15.0
    board: Path | None = None
    folder: Path | None = None


CalibrateCommand = (
    Annotated[BoardCommand, tyro.conf.subcommand("board")]
    | Annotated[IntrinsicsCommand, tyro.conf.subcommand("intrinsics")]
    | Annotated[HandEyeCommand, tyro.conf.subcommand("hand-eye")]
    | Annotated[CameraToBaseCommand, tyro.conf.subcommand("camera-to-base")]
    | Annotated[ToolCommand, tyro.conf.subcommand("tool")]
    | Annotated[LatencyCommand, tyro.conf.subcommand("latency")]
)


def main(
    command: BoardCommand | IntrinsicsCommand | HandEyeCommand | ToolCommand | LatencyCommand,
) -> int:
    """Calibrate, print and write the result, and return 0."""
    if isinstance(command, IntrinsicsCommand | HandEyeCommand):
        from carp_ros.cli import calibrate_camera

        if isinstance(command, IntrinsicsCommand):
            return calibrate_camera.run_intrinsics(command)
        return calibrate_camera.run_pose(command, is_fixed=isinstance(command, CameraToBaseCommand))
    from carp_ros.cli import calibrate_others

    if isinstance(command, BoardCommand):
        return calibrate_others.run_board(command)
    if isinstance(command, ToolCommand):
        return calibrate_others.run_tool(command)
    return calibrate_others.run_latency(command)
