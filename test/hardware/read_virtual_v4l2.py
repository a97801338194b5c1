"""Reads the virtual camera with the real OpenCV; prints what happened for the tests beside it."""

import json
import os
import sys
import time
from pathlib import Path

from carp_ros.hardware.opencv_camera import OpenCvCamera
from carp_ros.rig_cameras import OpenCvCameraConfig

DEVICE = Path(os.environ["V4L2_DEVICE"])


def camera(**settings) -> OpenCvCamera:
    settings = {"device": str(DEVICE), "width_px": 64, "height_px": 48, **settings}
    return OpenCvCamera("cam", OpenCvCameraConfig(**settings), lambda steady_ns: steady_ns)


def take(driver: OpenCvCamera) -> dict:
    frame = driver.read(1.0)
    assert frame is not None
    pixels = [frame.image[24, 8].tolist(), frame.image[24, 56].tolist()]
    age_ms = (time.monotonic_ns() - frame.stamp_ns) * 1e-6
    return {
        "stamp_ns": frame.stamp_ns,
        "sequence": frame.sequence,
        "pixels": pixels,
        "age_ms": age_ms,
    }


def error_of(action) -> str:
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


said = {}
driver = camera(exposure_us=8000.0, gain=16.0, focus=10.0, rate_hz=60.0)
driver.open()
frames = [take(driver) for _ in range(8)]
time.sleep(0.4)
late = take(driver)
said["locked"] = {"frames": frames, "late": late, "remarks": driver.remarks}
os.rename(DEVICE, f"{DEVICE}.away")
said["unplugged"] = [
    error_of(lambda: [driver.read(1.0) for _ in range(9)]),
    error_of(driver.open),
]
os.rename(f"{DEVICE}.away", DEVICE)
driver.open()
said["replugged"] = take(driver)
driver.close()

driver = camera(fourcc="YUYV")
driver.open()
said["yuyv"] = {"frame": take(driver), "remarks": driver.remarks}
driver.close()

driver = camera(fourcc="H264")
driver.open()
said["fourcc"] = driver.remarks
driver.close()

os.environ["V4L2_NO_STAMPS"] = "1"
driver = camera()
driver.open()
frames = [take(driver) for _ in range(4)]
said["no stamps"] = {"frames": frames, "remarks": driver.remarks}
driver.close()

said["size"] = error_of(camera(width_px=640, height_px=480).open)
json.dump(said, sys.stdout)
