"""Checks of a rig's cameras: each is opened, timed, and its images looked at."""

from __future__ import annotations

import itertools
import time
from functools import partial

from carp_ros.checks.probe import Check, CheckResult
from carp_ros.errors import DeviceError
from carp_ros.hardware.camera import Camera
from carp_ros.hardware.image_faults import ImageWatch, in_sentences
from carp_ros.nodes.camera_drivers import driven_cameras, make_cameras
from carp_ros.reports.check import CheckCode
from carp_ros.rig import Rig
from carp_ros.rig_cameras import CameraConfig, RealSenseCameraConfig

WATCH_S = 2.5
_READ_S = 0.5
_FIRST_S = 5.0  # a camera may need seconds for its first image
_LEAST_SHARE = 0.95
_MOST_JITTER_S = 0.5  # of arrivals: the first image may have waited


def camera_checks(rig: Rig) -> tuple[Check, ...]:
    """Return one check for each camera that this package reads from a device or a file."""
    names = [name for name in driven_cameras(rig) if rig.cameras[name].driver != "cell"]
    return tuple(
        Check(name, partial(_camera, name, rig), code=CheckCode.CAMERA_NOT_READY) for name in names
    )


def _camera(name: str, rig: Rig) -> CheckResult:
    try:
        ((camera,),) = (group.values() for group in make_cameras(rig, (name,), "", still=False))
        camera.open()
    except DeviceError as error:
        return CheckResult("does not open", str(error), CheckCode.CAMERA_ABSENT)
    except ValueError as error:
        return CheckResult("does not open", str(error))
    try:
        return _watched(camera, rig.cameras[name])
    except DeviceError as error:
        return CheckResult("went away", str(error), CheckCode.CAMERA_ABSENT)
    finally:
        camera.close()


def _watched(camera: Camera, config: CameraConfig) -> CheckResult:
    """Read images for a while, and report their rate, stamps, faults and the driver's remarks."""
    watch, depths = ImageWatch(has_noise=config.has_noise), 0
    stamps_ns: list[int] = []
    arrivals_s: list[float] = []
    deadline_s = time.monotonic() + _FIRST_S
    while time.monotonic() < deadline_s:
        frame = camera.read(_READ_S)
        if frame is None:
            continue
        arrivals_s.append(time.monotonic())
        if not stamps_ns:
            deadline_s = arrivals_s[0] + WATCH_S
        stamps_ns.append(frame.stamp_ns)
        depths += frame.depth is not None
        watch.take(frame.image)
    if len(stamps_ns) < 2:
        count = "one image" if stamps_ns else "no image"
        return CheckResult(f"{count} in {_FIRST_S:g} s", "unplug it and plug it in again")
    told_s, took_s = (stamps_ns[-1] - stamps_ns[0]) * 1e-9, arrivals_s[-1] - arrivals_s[0]
    rises = all(first < second for first, second in itertools.pairwise(stamps_ns))
    clock_runs = rises and abs(told_s - took_s) < _MOST_JITTER_S
    rate_hz = (len(stamps_ns) - 1) / max(1e-9, told_s if clock_runs else took_s)
    found = f"{config.width_px}x{config.height_px} px at {rate_hz:.1f} Hz"
    if isinstance(config, RealSenseCameraConfig) and config.serial:
        found += f", serial {config.serial}"  # the driver opens no other
    found += f", depth with {depths / len(stamps_ns):.0%}" if depths else ""
    slow = rate_hz < _LEAST_SHARE * config.rate_hz
    problems = (
        f"expected {config.rate_hz:g} Hz: more light or a shorter exposure, its own USB port"
        if slow
        else "",
        ""
        if clock_runs
        else f"its stamps went on by {told_s:.3g} s in {took_s:.3g} s, expected to rise as time"
        " does: unplug it and plug it in again, or leave the machine's clock alone meanwhile",
        in_sentences(watch.faults),
        *camera.remarks,
    )
    return CheckResult(found, "; ".join(filter(None, problems)))
