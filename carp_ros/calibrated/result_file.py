"""Results of calibrations as files: `calibration/<rig>/<name>.yaml`.

One file for each result, so that each can be measured anew on its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np

from carp_ros.calibrated.board import Board
from carp_ros.files.plain_yaml import load_mapping, yaml_from_mapping
from carp_ros.files.whole_file import whole_file
from carp_ros.refusal import named
from carp_ros.rig_cameras import optical_frame
from carp_ros.strict import Between, Matching, Sized, Unit, read_strictly
from carp_ros.types import Intrinsics, Pose

Vector3 = tuple[float, float, float]
Text = Annotated[str, Matching(r"[^\x00-\x1f\x7f]{0,300}", "one line of at most 300 characters")]
Px = Annotated[float, Between(0.0, 1e4)]
Mm = Annotated[float, Between(0.0, 1e4)]
Deg = Annotated[float, Between(0.0, 180.0)]
_Width = Annotated[int, Between(16, 16384)]
_Names = Annotated[tuple[Text, ...], Sized(0, 10_000)]
_DIGITS = 9


@dataclass(frozen=True)
class Provenance:
    """How and when something was measured.

    Attributes:
        rig: Name of the rig.
        date: Day of the measurement, as 2026-01-31.
        method: The procedure, in words.
        source: Folder or file with the readings.
        readings: Number of readings used.
        outliers: Names of the readings left out because they disagree with the others.
        serial_number: Of the camera or tool; empty if not known.
        residual_px, residual_mm, residual_deg: RMS over the readings used; None if there is none.
        board: The board, if one was used.
    """

    rig: Text
    date: Annotated[str, Matching(r"\d{4}-\d\d-\d\d", "a day, as 2026-01-31")]
    method: Text
    source: Text
    readings: Annotated[int, Between(1, 1_000_000)]
    outliers: _Names = ()
    serial_number: Text = ""
    residual_px: Px | None = None
    residual_mm: Mm | None = None
    residual_deg: Deg | None = None
    board: Board | None = None

    def contradictions(self) -> Iterator[str]:
        """Yield a date that does not exist."""
        try:
            date.fromisoformat(self.date)
        except ValueError:
            yield f"date is {self.date}; expected a day that exists, as 2026-01-31"

    def age_days(self, today: date) -> int:
        """Return the number of days since the measurement."""
        return (today - date.fromisoformat(self.date)).days


@dataclass(frozen=True)
class CameraIntrinsics:
    """Focal lengths, principal point and distortion (`plumb_bob`) of a camera.

    Attributes:
        kind: Selects this kind of result.
        camera: Name of the camera in the rig.
        width_px, height_px: Size of the images, for which alone these numbers hold.
        focal_px, centre_px: Along x and y.
        distortion: k1, k2, p1, p2, k3.
        focal_std_px, centre_std_px: Standard errors.
        provenance: How and when they were measured.
    """

    kind: Literal["intrinsics"]
    camera: Text
    width_px: _Width
    height_px: _Width
    focal_px: Annotated[tuple[float, float], Between(1.0, 1e5)]
    centre_px: Annotated[tuple[float, float], Between(-1e5, 1e5)]
    distortion: Annotated[tuple[float, float, float, float, float], Between(-1e3, 1e3)]
    focal_std_px: Px
    centre_std_px: Px
    provenance: Provenance

    def contradictions(self) -> Iterator[str]:
        """Yield numbers that no camera with images of this size has."""
        size_px = (self.width_px, self.height_px)
        if not all(0.0 <= place <= size for place, size in zip(self.centre_px, size_px)):
            yield (
                f"centre_px is {list(self.centre_px)}; expected a place in the image of"
                f" {self.width_px} x {self.height_px} px"
            )
        if not all(0.1 <= focal / self.width_px <= 50.0 for focal in self.focal_px):
            yield f"focal_px is {list(self.focal_px)}; expected 0.1 to 50 times width_px"

    @property
    def intrinsics(self) -> Intrinsics:
        """The same for projecting and for camera_info."""
        (fx, fy), (cx, cy) = self.focal_px, self.centre_px
        matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
        frame = optical_frame(self.camera)
        return Intrinsics(self.width_px, self.height_px, matrix, frame, self.distortion)


@dataclass(frozen=True)
class CameraPose:
    """Where a camera is: the pose of its optical frame.

    A wrist camera's pose is in the flange frame, not in the tool's, so that it stays valid when the
    tool centre point is measured anew.

    Attributes:
        kind: Selects this kind of result.
        camera: Name of the camera in the rig.
        parent: Frame that the camera is fixed in.
        position_m, quaternion: `parent_from_camera`, xyzw.
        position_std_mm, rotation_std_deg: Standard errors per axis: the largest of three.
        provenance: How and when it was measured.
    """

    kind: Literal["camera_pose"]
    camera: Text
    parent: Literal["flange", "base"]
    position_m: Annotated[Vector3, Between(-10.0, 10.0)]
    quaternion: Annotated[tuple[float, float, float, float], Unit()]
    position_std_mm: Mm
    rotation_std_deg: Deg
    provenance: Provenance

    @property
    def parent_from_camera(self) -> Pose:
        """The pose, with the quaternion normalised."""
        quaternion = np.array(self.quaternion)
        return Pose(np.array(self.position_m), quaternion / np.linalg.norm(quaternion))


@dataclass(frozen=True)
class ToolTip:
    """Position of the tool centre point in the flange frame.

    Attributes:
        kind: Selects this kind of result.
        position_m: In the flange frame.
        position_std_mm: Standard error per axis: the largest of three.
        provenance: How and when it was measured.
    """

    kind: Literal["tool"]
    position_m: Annotated[Vector3, Between(-2.0, 2.0)]
    position_std_mm: Mm
    provenance: Provenance


@dataclass(frozen=True)
class Latency:
    """How much later one recording shows a motion than another.

    Attributes:
        kind: Selects this kind of result.
        device: Camera of the rig, or `action` or `gripper`.
        latency_s: The delay.
        std_s: Its standard error.
        correlation: Of the two recordings at that delay.
        provenance: How and when it was measured.
    """

    kind: Literal["latency"]
    device: Text
    latency_s: Annotated[float, Between(-1.0, 5.0)]
    std_s: Annotated[float, Between(0.0, 5.0)]
    correlation: Annotated[float, Between(0.0, 1.0)]
    provenance: Provenance


AnyResult = CameraIntrinsics | CameraPose | ToolTip | Latency
Result = TypeVar("Result", bound=AnyResult)


def write_result(path: Path, result: AnyResult) -> None:
    """Write a result as YAML, atomically."""
    text = yaml_from_mapping(content_of(result))
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def content_of(result: AnyResult) -> dict[str, Any]:
    """Return what the file of a result holds, for `read_result`."""
    return _plain(result)


def read_result(content: Mapping[str, Any], where: str) -> AnyResult:
    """Return a result from a file's content.

    Raises:
        ValueError: If it is of no known kind, or a value is invalid. The text begins with `where`.
    """
    return read_strictly(AnyResult, dict(content), where)  # type: ignore[arg-type]


def load_result(path: Path, kind: type[Result]) -> Result:
    """Read a result of one kind.

    Raises:
        ValueError: If the file is missing, not YAML, of another kind, or a value is invalid.
    """
    result = read_result(load_mapping(path), named(path))
    if not isinstance(result, kind):
        expected = kind.__name__
        raise ValueError(f"{named(path)} is a {type(result).__name__}; expected a {expected}")
    return result


def _plain(value: Any) -> Any:
    """Return a dataclass as mappings, lists and rounded numbers."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        items = {field.name: _plain(getattr(value, field.name)) for field in fields}
        return {key: item for key, item in items.items() if item is not None}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
