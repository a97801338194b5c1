"""RealSense recordings for tests, made by librealsense's own software device and recorder."""

import gc
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyrealsense2 as rs

WIDTH_PX, HEIGHT_PX = 64, 48
SERIAL = "123456789012"
FOCAL_PX = 60.0
FIRST_MS = 5_000_000.0
STEP = 12  # between the grey values of two images


def colour_of(number: int) -> np.ndarray:
    """Return the image of a recording, from 0: plain, with one bright column."""
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), STEP * number, np.uint8)
    image[:, : WIDTH_PX // 4, 0] = 255
    return image


def depth_of(number: int) -> np.ndarray:
    """Return the depth of a recording, from 0: a slope, so that its pixels differ."""
    slope = np.arange(WIDTH_PX, dtype=np.uint16)[None, :] * 3
    return np.repeat(slope + 500 + 100 * number, HEIGHT_PX, axis=0).astype(np.uint16)


class SoftwareCamera:
    """A device whose frames the test makes: colour, and depth if it is asked for."""

    def __init__(self, *, depth: bool = False, unit_m: float = 0.001, rate_hz: int = 30) -> None:
        self.device = rs.software_device()
        self.device.register_info(rs.camera_info.name, "Software RealSense")
        self.device.register_info(rs.camera_info.serial_number, SERIAL)
        self.device.register_info(rs.camera_info.usb_type_descriptor, "2.1")
        self.colour = self.device.add_sensor("RGB Camera")
        self._colour = self.colour.add_video_stream(
            _stream(rs.stream.color, 1, rs.format.rgb8, 3, rate_hz)
        ).as_video_stream_profile()
        self.depth = self.device.add_sensor("Stereo Module") if depth else None
        if self.depth is not None:
            self._depth = self.depth.add_video_stream(
                _stream(rs.stream.depth, 2, rs.format.z16, 2, rate_hz)
            ).as_video_stream_profile()
            self.depth.add_read_only_option(rs.option.depth_units, unit_m)
            self._depth.register_extrinsics_to(self._colour, _nowhere())
        self._unit_m = unit_m

    def send(self, number: int, stamp_ms: float, domain, *, with_depth: bool = True) -> None:
        """Let one image, from 0, come from each sensor."""
        if self.depth is not None and with_depth:
            frame = _frame(self._depth, depth_of(number), number, stamp_ms, domain)
            frame.depth_units = self._unit_m
            self.depth.on_video_frame(frame)
        self.colour.on_video_frame(
            _frame(self._colour, colour_of(number), number, stamp_ms, domain)
        )


def record(
    path: Path,
    images: int,
    *,
    depth: bool = False,
    unit_m: float = 0.001,
    without_depth: Iterable[int] = (),
    rate_hz: int = 30,
    domain=rs.timestamp_domain.hardware_clock,
) -> Path:
    """Write a .db3 of a software camera; its first image is numbered 1 by the sensor."""
    camera = SoftwareCamera(depth=depth, unit_m=unit_m, rate_hz=rate_hz)
    recorder = rs.recorder(str(path), camera.device)
    taken = rs.frame_queue(2 * images)
    sensors = recorder.query_sensors()
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles())
        sensor.start(taken)
    for number in range(images):
        stamp_ms = FIRST_MS + number * 1e3 / rate_hz
        camera.send(number, stamp_ms, domain, with_depth=number not in set(without_depth))
        time.sleep(1.0 / rate_hz)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    del recorder, sensors, sensor, taken
    gc.collect()  # the file is complete once the recorder is gone
    return path


def _stream(kind, uid: int, form, bytes_per_pixel: int, rate_hz: int):
    stream = rs.video_stream()
    stream.type, stream.uid, stream.index = kind, uid, 0
    stream.fmt, stream.bpp, stream.fps = form, bytes_per_pixel, rate_hz
    stream.width, stream.height = WIDTH_PX, HEIGHT_PX
    lens = rs.intrinsics()
    lens.width, lens.height = WIDTH_PX, HEIGHT_PX
    lens.ppx, lens.ppy, lens.fx, lens.fy = 31.5, 23.5, FOCAL_PX, FOCAL_PX + 1.0
    lens.model = rs.distortion.inverse_brown_conrady
    lens.coeffs = [0.0] * 5
    stream.intrinsics = lens
    return stream


def _nowhere():
    same = rs.extrinsics()
    same.rotation, same.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]
    return same


def _frame(profile, pixels: np.ndarray, number: int, stamp_ms: float, domain):
    frame = rs.software_video_frame()
    frame.pixels = pixels
    frame.bpp = pixels.nbytes // (WIDTH_PX * HEIGHT_PX)
    frame.stride = frame.bpp * WIDTH_PX
    frame.timestamp, frame.domain = stamp_ms, domain
    frame.frame_number, frame.profile = number + 1, profile
    return frame
