"""The sections of a rig file for a camera, one dataclass per driver."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from carp_ros.strict import Between, Matching, Sized

_Pixels = Annotated[int, Between(16, 4096)]


@dataclass(frozen=True)
class CameraSection:
    """Fields common to the sections of all cameras; images arrive on `<name>/image_raw`.

    Attributes:
        driver: Name of the driver; a literal in each subclass.
        width_px, height_px: Image size; even, as video encoding requires.
        rate_hz: Images per second.
        latency_s: How much later than the exposure the driver's stamps are; it is subtracted. A
            result of `carp calibrate latency` replaces it.
        has_noise: Whether two images of one scene differ, as those of a sensor do.
    """

    has_noise: ClassVar[bool] = True

    driver: str = ""
    width_px: _Pixels = 320
    height_px: _Pixels = 240
    rate_hz: Annotated[float, Between(1.0, 240.0)] = 30.0
    latency_s: Annotated[float, Between(-0.05, 0.3)] = 0.0

    def contradictions(self) -> Iterator[str]:
        """Yield invalid values."""
        for name in ("width_px", "height_px"):
            if getattr(self, name) % 2:
                yield f"{name} is {getattr(self, name)}; expected an even number, as video requires"


@dataclass(frozen=True)
class CellCameraConfig(CameraSection):
    """A camera rendered by the simulated cell."""

    has_noise: ClassVar[bool] = False

    driver: Literal["cell"] = "cell"


@dataclass(frozen=True)
class ExternalCameraConfig(CameraSection):
    """A camera whose images are published by a ROS driver that is not part of this package."""

    driver: Literal["external"] = "external"


@dataclass(frozen=True)
class LockedCamera(CameraSection):
    """Settings that a policy needs to stay the same; None leaves one to the camera's automatism.

    Attributes:
        exposure_us: Exposure time in [us].
        gain: In the device's own units.
        white_balance_k: Colour temperature in [K].
    """

    exposure_us: Annotated[float, Between(1.0, 1_000_000.0)] | None = None
    gain: Annotated[float, Between(0.0, 10_000.0)] | None = None
    white_balance_k: Annotated[float, Between(1000.0, 12_000.0)] | None = None


@dataclass(frozen=True)
class OpenCvCameraConfig(LockedCamera):
    """A USB camera (V4L2) read through OpenCV, or a video file in its place.

    Attributes:
        driver: `opencv`.
        device: The device, as `/dev/v4l/by-id/...`, which stays the same when others are plugged
            in; or the path of a video file, which is played at its own rate, again and again.
        fourcc: Pixel format to ask for; MJPG is what USB 2 has room for. Empty: the device's.
        buffers: Frames that the kernel keeps for a late reader. One that is not read in time is
            dropped; more buffers do not make images older, as each is read when it comes.
        focus: Focus in the device's own units; None leaves it to autofocus.
    """

    driver: Literal["opencv"] = "opencv"
    device: Annotated[str, Sized(1, 4096)] = "/dev/video0"
    fourcc: Annotated[str, Matching("([A-Z0-9]{4})?", "four letters, as MJPG or YUYV")] = "MJPG"
    buffers: Annotated[int, Between(1, 10)] = 4
    focus: Annotated[float, Between(0.0, 10_000.0)] | None = None


@dataclass(frozen=True)
class RealSenseCameraConfig(LockedCamera):
    """An Intel RealSense camera (librealsense).

    Attributes:
        driver: `realsense`.
        serial: Serial number, as printed on the camera; empty: the only one that is plugged in.
        playback_file: A recording (.db3 or .bag) to play in place of the camera; empty: none.
        depth: Whether to publish depth too, aligned with the colour image.
    """

    driver: Literal["realsense"] = "realsense"
    serial: Annotated[str, Matching("[0-9A-Za-z]{0,32}", "digits, as on the camera")] = ""
    playback_file: Annotated[str, Sized(0, 4096)] = ""
    depth: bool = False


CameraConfig = CellCameraConfig | ExternalCameraConfig | OpenCvCameraConfig | RealSenseCameraConfig
"""Sections of all camera drivers, distinguished by `driver`."""


def has_depth(camera: CameraConfig) -> bool:
    """Return whether a camera publishes depth."""
    return isinstance(camera, RealSenseCameraConfig) and camera.depth


def cameras_with_depth(cameras: Mapping[str, CameraConfig]) -> tuple[str, ...]:
    """Return the names of those cameras that publish depth."""
    return tuple(name for name, camera in cameras.items() if has_depth(camera))


def optical_frame(camera: str) -> str:
    """Return the name of a camera's optical frame: x right, y down, z forward."""
    return f"{camera}_optical_frame"
