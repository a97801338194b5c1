"""An Intel RealSense camera, through pyrealsense2."""

from __future__ import annotations

import importlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from carp_ros.errors import DeviceError
from carp_ros.hardware.camera import CameraFrame, RosTimeAt
from carp_ros.hardware.depth_pairing import DepthPairing
from carp_ros.hardware.realsense_options import colour_sensor, set_options
from carp_ros.hardware.realsense_time import CaptureTime
from carp_ros.hardware.recorded_file import RecordedFile
from carp_ros.refusal import in_words, refusing
from carp_ros.rig_cameras import RealSenseCameraConfig, optical_frame
from carp_ros.types import Intrinsics

_QUEUE = 16  # frames that librealsense keeps for a late reader
_DEPTH_WAIT_S = 0.015  # for the depth of a colour image that came without it
_MM = 0.001


def realsense_library() -> Any:
    """Return the module pyrealsense2.

    Raises:
        ValueError: If it is not installed, or its C library can't be loaded.
    """
    try:
        return importlib.import_module("pyrealsense2")
    except ModuleNotFoundError as error:
        raise ValueError(
            "driver realsense needs pyrealsense2: pip install 'carp_ros[realsense]'"
        ) from error
    except ImportError as error:
        raise ValueError(
            f"pyrealsense2 can't be loaded: {in_words(error)}; apt-get install libusb-1.0-0"
        ) from error


class RealSenseCamera:
    """A `Camera` that publishes colour and, if asked, depth aligned with it.

    Args:
        name: As in the rig's file.
        config: Serial number, size, rate, locked settings, or a recording to play.
        ros_time_at: Converts stamps.
        new_context: Makes librealsense's context; another one for tests.
    """

    def __init__(
        self,
        name: str,
        config: RealSenseCameraConfig,
        ros_time_at: RosTimeAt,
        new_context: Callable[[], Any] | None = None,
    ) -> None:
        self._name = name
        self._config = config
        self._ros_time_at = ros_time_at
        self._new_context = new_context
        self._file = RecordedFile(config.playback_file) if config.playback_file else None
        self._pipeline: Any = None
        self._device: Any = None
        self._queue: Any = None
        self._align: Any = None
        self._shown: Any = None
        self._ready: deque[tuple[Any, Any]] = deque()
        self._remarks: tuple[str, ...] = ()
        self._serial_number = ""

    def open(self) -> None:
        """Find the camera, set its options and start it.

        Raises:
            DeviceError: If it is not plugged in, or another program uses it.
            ValueError: If pyrealsense2 is missing, the camera has no images of this size and rate,
                several cameras could be meant, or the recording can't be read.
        """
        self.close()
        rs = realsense_library()
        self._device, context = self._find(rs)
        try:
            self._start(rs, context)
        except RuntimeError as error:
            self.close()
            raise DeviceError(
                f"{self._called}: {in_words(error)}; is another program using it?"
            ) from error

    @property
    def info(self) -> Intrinsics:
        """The factory's intrinsics, which the camera stores."""
        assert self._pipeline is not None, "open it first"
        return self._info

    @property
    def serial_number(self) -> str:
        """The device's serial number, which a recording has, too."""
        return self._serial_number

    @property
    def remarks(self) -> tuple[str, ...]:
        """How the device differs from what was asked for."""
        return self._remarks

    def read(self, timeout_s: float) -> CameraFrame | None:
        """Wait for the next colour image; return None on timeout.

        Raises:
            DeviceError: If the camera is gone, or the recording has ended.
        """
        assert self._pipeline is not None, "open it first"
        if self._file is not None:
            self._file.require()
        try:
            pair = self._next_pair(timeout_s)
            if pair is not None:
                return self._frame(*pair)
            self._require_running()
        except RuntimeError as error:
            raise DeviceError(f"{self._called}: {in_words(error)}") from error
        return None

    def close(self) -> None:
        """Stop the camera and release it to other programs."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            with suppress(RuntimeError):  # it is unplugged
                pipeline.stop()
        # librealsense releases a device when the last reference to it or its frames is gone
        self._device = self._queue = self._align = self._shown = None
        self._ready.clear()

    @property
    def _called(self) -> str:
        if self._file is not None:
            return str(self._file)
        return f"RealSense {self._config.serial}".strip()

    def _find(self, rs: Any) -> tuple[Any, Any]:
        """Return the device and the context that it belongs to."""
        context = (self._new_context or rs.context)()
        if self._file is not None:
            self._file.open()
            with refusing(ValueError, f"cameras.{self._name}: {self._file}"):
                return context.load_device(str(self._file.path)), context
        found = {}
        for device in context.query_devices():
            with suppress(RuntimeError):  # unplugged at this moment
                found[device.get_info(rs.camera_info.serial_number)] = device
        wanted = self._config.serial
        if not wanted and len(found) > 1:
            raise ValueError(
                f"cameras.{self._name}: {len(found)} RealSense cameras are plugged in; expected"
                f" serial: to be one of {', '.join(sorted(found))}"
            )
        if not found or wanted not in ("", *found):
            plugged_in = ", ".join(sorted(found)) or "none"
            raise DeviceError(
                f"{self._called} is not plugged in (RealSense cameras that are: {plugged_in})"
            )
        return found[wanted or next(iter(found))], context

    def _start(self, rs: Any, context: Any) -> None:
        config, device = self._config, self._device
        serial = self._serial_number = str(device.get_info(rs.camera_info.serial_number))
        pipeline, wishes = rs.pipeline(context), rs.config()
        wishes.enable_device(serial)
        size = (config.width_px, config.height_px)
        wishes.enable_stream(rs.stream.color, *size, rs.format.rgb8, round(config.rate_hz))
        if config.depth:
            wishes.enable_stream(rs.stream.depth, *size, rs.format.z16, round(config.rate_hz))
        remarks = list(self._of_the_link(rs))
        if not wishes.can_resolve(pipeline):
            if self._file is None:
                self._require_running()
            slow = f" ({remarks[0]})" if remarks and self._file is None else ""
            raise ValueError(
                f"cameras.{self._name}: {self._called} has no colour{' and depth' * config.depth}"
                f" of {config.width_px}x{config.height_px} px at {config.rate_hz:g} Hz{slow};"
                f" expected one of {_modes(rs, device)}"
            )
        remarks += set_options(rs, device, config)
        self._queue = rs.frame_queue(_QUEUE, keep_frames=True)
        profile = pipeline.start(wishes, self._queue)
        self._pipeline = pipeline
        self._info = intrinsics_of(
            profile.get_stream(rs.stream.color).as_video_stream_profile().get_intrinsics(),
            optical_frame(self._name),
        )
        self._time = CaptureTime(rs, self._ros_time_at, is_recording=self._file is not None)
        self._pairing = DepthPairing(500.0 / config.rate_hz)
        self._align = rs.align(rs.stream.color) if config.depth else None
        self._remarks = tuple(remarks)

    def _of_the_link(self, rs: Any) -> Iterator[str]:
        device, what = self._device, rs.camera_info.usb_type_descriptor
        if self._file is not None:
            yield f"plays {self._file} in place of a camera"
        elif device.supports(what) and device.get_info(what).startswith("2"):
            yield (
                f"it is connected by USB {device.get_info(what)}, which has room for few sizes and"
                " rates: use a USB 3 port and its own cable"
            )

    def _require_running(self) -> None:
        device = self._device
        if self._file is not None:
            if str(device.current_status()).endswith("stopped"):
                raise DeviceError(f"{self._file} ended")
        elif not device.is_connected():
            raise DeviceError(f"{self._called} was unplugged")

    def _next_pair(self, timeout_s: float) -> tuple[Any, Any] | None:
        """Return the next colour frame, and the frameset with its depth; None on timeout."""
        deadline_s = time.monotonic() + timeout_s
        while not self._ready:
            left_s = max(0.0, deadline_s - time.monotonic())
            wait_s = _DEPTH_WAIT_S if self._pairing.is_waiting else left_s
            came, frame = self._queue.try_wait_for_frame(round(wait_s * 1e3))
            if came:
                self._ready.extend(self._sorted(frame))
            elif self._pairing.is_waiting:
                self._ready.extend(self._pairing.give_up())
            elif time.monotonic() >= deadline_s:
                return None
        return self._ready.popleft()

    def _sorted(self, frame: Any) -> list[tuple[Any, Any]]:
        """Return the colour frames that are complete now, each with its frameset or None."""
        if self._align is None:
            return [(frame.as_frameset().get_color_frame() if frame.is_frameset() else frame, None)]
        frames = frame.as_frameset()
        colour, depth = frames.get_color_frame(), frames.get_depth_frame()
        if not colour:
            return []
        apart_ms = colour.get_timestamp() - depth.get_timestamp() if depth else None
        return self._pairing.take(colour.get_frame_number(), colour, frames, apart_ms)

    def _frame(self, colour: Any, frames: Any) -> CameraFrame:
        stamp_ns, remark = self._time.of(colour, time.monotonic_ns())
        if remark:
            self._remarks += (remark,)
        image = np.asanyarray(colour.get_data())
        depth = None
        if frames is not None:
            aligned = self._align.process(frames).get_depth_frame()
            depth = in_millimetres(np.asanyarray(aligned.get_data()), aligned.get_units())
        self._shown = (colour, image)  # keeps the memory that the image is a view of
        return CameraFrame(stamp_ns, image, colour.get_frame_number(), depth)


def intrinsics_of(given: Any, frame: str) -> Intrinsics:
    """Return librealsense's intrinsics as those of `camera_info`.

    Args:
        given: `rs.intrinsics`. Of its models, all Brown-Conrady ones project as `plumb_bob` does.
        frame: The optical frame.
    """
    matrix = np.array([[given.fx, 0.0, given.ppx], [0.0, given.fy, given.ppy], [0.0, 0.0, 1.0]])
    k1, k2, p1, p2, k3 = (float(number) for number in given.coeffs)
    return Intrinsics(given.width, given.height, matrix, frame, (k1, k2, p1, p2, k3))


def in_millimetres(depth: npt.NDArray[np.uint16], unit_m: float) -> npt.NDArray[np.uint16]:
    """Return depth given in units of `unit_m` [m] as a new array in [mm].

    Where the device's unit is 1 mm, the numbers stay what they are.
    """
    if abs(unit_m - _MM) < 1e-6:
        return depth.copy()
    scaled = np.rint(depth * (unit_m / _MM))
    return np.minimum(scaled, np.iinfo(np.uint16).max).astype(np.uint16)


def _modes(rs: Any, device: Any) -> str:
    """Return the sizes and rates that the device has for colour."""
    sensor = colour_sensor(rs, device)
    modes = set()
    for profile in sensor.get_stream_profiles() if sensor is not None else ():
        if profile.stream_type() == rs.stream.color:
            video = profile.as_video_stream_profile()
            modes.add((video.width(), video.height(), profile.fps()))
    return ", ".join(f"{w}x{h} at {fps}" for w, h, fps in sorted(modes)[:40]) or "none"
