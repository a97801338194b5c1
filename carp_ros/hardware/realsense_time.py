"""When a RealSense frame was exposed, in ROS time, whatever clock the camera stamps it with."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from carp_ros.hardware.camera import RosTimeAt
from carp_ros.hardware.device_clock import DeviceClock

_NS_PER_MS = 1e6
_NS_PER_US = 1000
_FARTHEST_NS = 2_000_000_000  # a frame's age on arrival if it is stamped with this machine's clock
_LONGEST_READOUT_US = 200_000


class CaptureTime:
    """Converts the stamps of one camera's frames.

    - `global_time`: librealsense has mapped the camera's clock to this machine's wall clock.
    - `system_time`: this machine's wall clock when the frame arrived, as the camera or the kernel
      does not pass on the camera's own stamps.
    - `hardware_clock`: the camera's clock, which `DeviceClock` follows. So are the stamps of a
      recording, and those that claim to be of this machine's clock, but are far from it.

    The stamp is that of the readout; the middle of the exposure was earlier, by what the frame's
    metadata say, if there are any.

    Args:
        rs: The module pyrealsense2.
        ros_time_at: Converts monotonic time to ROS time.
        is_recording: Whether frames come from a file.
        wall_ns: This machine's wall clock; another one for tests.
    """

    def __init__(
        self,
        rs: Any,
        ros_time_at: RosTimeAt,
        *,
        is_recording: bool,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._domains = rs.timestamp_domain
        self._at_readout = rs.frame_metadata_value.frame_timestamp
        self._mid_exposure = rs.frame_metadata_value.sensor_timestamp
        self._ros_time_at = ros_time_at
        self._is_recording = is_recording
        self._wall_ns = wall_ns
        self._clock = DeviceClock()
        self._said: set[str] = set()

    def of(self, frame: Any, arrived_ns: int) -> tuple[int, str]:
        """Return a frame's capture time in ROS time, and a remark the first time that it applies.

        Args:
            frame: A video frame.
            arrived_ns: When it arrived, in monotonic time.
        """
        device_ns = round(frame.get_timestamp() * _NS_PER_MS)
        domain = frame.get_frame_timestamp_domain()
        remark = ""
        is_wall = not self._is_recording and domain != self._domains.hardware_clock
        if is_wall:
            age_ns = self._wall_ns() - device_ns
            is_wall = abs(age_ns) < _FARTHEST_NS
            if not is_wall:
                remark = self._once(
                    f"its {domain.name} was {age_ns * 1e-9:.1f} s behind this machine's clock and"
                    " is taken for a clock of its own"
                )
            elif domain == self._domains.system_time:
                remark = self._once(
                    "its frames are stamped with their arrival, later than the exposure by the time"
                    " of their transfer: the kernel passes no camera stamps on (librealsense's"
                    " installation says how)"
                )
        if is_wall:
            stamp_ns = min(device_ns, self._wall_ns())
        else:
            stamp_ns = self._ros_time_at(self._clock.steady_ns(device_ns, arrived_ns))
        if domain != self._domains.system_time:
            stamp_ns -= self._since_exposure_ns(frame)
        return stamp_ns, remark

    def _once(self, remark: str) -> str:
        """Return a remark the first time that it is made; figures in it do not make it another."""
        kind = remark.split()[1]
        if kind in self._said:
            return ""
        self._said.add(kind)
        return remark

    def _since_exposure_ns(self, frame: Any) -> int:
        """Return the time from the middle of the exposure to the readout; 0 if it is unknown."""
        known = (self._at_readout, self._mid_exposure)
        if not all(frame.supports_frame_metadata(value) for value in known):
            return 0
        readout_us, exposed_us = (frame.get_frame_metadata(value) for value in known)
        since_us = readout_us - exposed_us
        return since_us * _NS_PER_US if 0 <= since_us <= _LONGEST_READOUT_US else 0
