"""A video file and a RealSense recording whose images carry their numbers, and a rig with both."""

from __future__ import annotations

import gc
import importlib
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import yaml

from carp_ros.files.plain_yaml import yaml_from_mapping
from carp_ros.share import share_folder

WIDTH_PX, HEIGHT_PX, RATE_HZ = 640, 480, 30
VIDEO, RECORDING = "wrist_cam", "third_cam"
_BITS, _STRIPE_PX = 16, 40
_BAND_PX = 64  # rows at the top that carry the number
_SERIAL = "000000000001"
_PART = 500  # images that are recorded at a time

Image = npt.NDArray[np.uint8]


def image_of(number: int) -> Image:
    """Return the RGB image with this number, which `number_of` reads."""
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), 90, np.uint8)
    bits = [255 * (number >> bit & 1) for bit in range(_BITS)]
    image[:_BAND_PX] = np.repeat(np.array(bits, np.uint8), _STRIPE_PX)[None, :, None]
    left = number * 4 % (WIDTH_PX - 80)
    image[200:280, left : left + 80] = (200, 120, 40)
    return image


def number_of(image: npt.NDArray[np.uint8]) -> int:
    """Return the number in an image, grey or RGB, of any scale that keeps its shape."""
    band = image[image.shape[0] // 15 if image.shape[0] > 60 else 2]
    grey = band if band.ndim == 1 else band.mean(axis=1)
    centres = (np.arange(_BITS) + 0.5) * len(grey) / _BITS
    return sum(1 << bit for bit, at in enumerate(centres) if grey[int(at)] > 128)


def make_sources(folder: Path, seconds: float) -> dict[str, Path]:
    """Return the video file and the recording, of this length; make those that are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    images = round(seconds * RATE_HZ)
    paths = {VIDEO: folder / f"{images}.avi", RECORDING: folder / f"{images}.db3"}
    for name, make in ((VIDEO, _write_video), (RECORDING, _write_recording)):
        if not paths[name].exists():
            print(f"making {paths[name]}: {images} images", flush=True)
            part = paths[name].with_stem(f"{images}.part")
            part.unlink(missing_ok=True)
            make(part, images)
            part.rename(paths[name])
    return paths


def write_rig(folder: Path, links: dict[str, Path]) -> Path:
    """Write the simulated rig with these files as its cameras; return its path."""
    content = yaml.safe_load((share_folder() / "config" / "ur5e_sim.yaml").read_text("utf-8"))
    size = {"width_px": WIDTH_PX, "height_px": HEIGHT_PX, "rate_hz": float(RATE_HZ)}
    content["cameras"] = {
        VIDEO: {"driver": "opencv", "device": str(links[VIDEO]), **size},
        RECORDING: {"driver": "realsense", "playback_file": str(links[RECORDING]), **size},
    }
    content["teleop"] = {**content.get("teleop", {}), "watch_during_policy": False}
    path = folder / "ur5e_sim.yaml"
    path.write_text(yaml_from_mapping(content), encoding="utf-8")
    return path


def _write_video(path: Path, images: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuvj420p"
        for number in range(images):
            frame = av.VideoFrame.from_ndarray(image_of(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write_recording(path: Path, images: int) -> None:
    """Record a software device as fast as it goes, in parts, and give the frames their times.

    The recorder drops frames that it can't write in time.
    """
    _record_part(path, range(min(images, _PART)))
    _set_times(path, 0, min(images, _PART))
    for begin in range(_PART, images, _PART):
        numbers = range(begin, min(images, begin + _PART))
        part = path.with_stem(f"{path.stem}.more")
        part.unlink(missing_ok=True)
        _record_part(part, numbers)
        _set_times(part, begin, len(numbers))
        with closing(sqlite3.connect(path)) as bag:
            bag.execute("ATTACH ? AS part", (str(part),))
            bag.execute(
                "INSERT INTO main.messages (topic_id, timestamp, data)"
                " SELECT ours.id, m.timestamp, m.data FROM part.messages m"
                " JOIN part.topics theirs ON theirs.id = m.topic_id"
                " JOIN main.topics ours ON ours.name = theirs.name"
                " WHERE m.timestamp > 0 ORDER BY m.timestamp, m.id"
            )
            bag.commit()
        part.unlink()


def _record_part(path: Path, numbers: range) -> None:
    rs: Any = importlib.import_module("pyrealsense2")
    device = rs.software_device()
    device.register_info(rs.camera_info.name, "Software RealSense")
    device.register_info(rs.camera_info.serial_number, _SERIAL)
    sensor = device.add_sensor("RGB Camera")
    stream = rs.video_stream()
    stream.type, stream.uid, stream.fmt, stream.bpp = rs.stream.color, 1, rs.format.rgb8, 3
    stream.width, stream.height, stream.fps = WIDTH_PX, HEIGHT_PX, RATE_HZ
    lens = rs.intrinsics()
    lens.width, lens.height, lens.fx, lens.fy = WIDTH_PX, HEIGHT_PX, 600.0, 600.0
    lens.ppx, lens.ppy = (WIDTH_PX - 1) / 2, (HEIGHT_PX - 1) / 2
    stream.intrinsics = lens
    profile = sensor.add_video_stream(stream).as_video_stream_profile()
    recorder = rs.recorder(str(path), device)
    recorded = recorder.query_sensors()[0]
    recorded.open(recorded.get_stream_profiles())
    taken = rs.frame_queue(4)
    recorded.start(taken)
    for number in numbers:
        frame = rs.software_video_frame()
        frame.pixels, frame.bpp, frame.stride = image_of(number), 3, 3 * WIDTH_PX
        frame.timestamp = number * 1e3 / RATE_HZ
        frame.domain = rs.timestamp_domain.hardware_clock
        frame.frame_number, frame.profile = number + 1, profile
        sensor.on_video_frame(frame)
        taken.try_wait_for_frame(1000)
        _wait_until_others_sleep()
    recorded.stop()
    recorded.close()
    del recorder, recorded, taken
    gc.collect()  # the file is complete once the recorder is gone


def _wait_until_others_sleep() -> None:
    """Wait until the recorder's thread has written what it has; it drops what it can't."""
    ours = str(threading.get_native_id())
    quiet = 0
    while quiet < 3:
        time.sleep(0.002)
        states = {
            task.name: (task / "stat").read_text().rpartition(")")[2].split()[0]
            for task in Path("/proc/self/task").iterdir()
            if task.name != ours
        }
        quiet = 0 if {"R", "D"} & set(states.values()) else quiet + 1


def _set_times(path: Path, begin: int, images: int) -> None:
    """Set the frames' times of playback to those of their numbers, from `begin`."""
    with closing(sqlite3.connect(path)) as bag:
        rows = bag.execute("SELECT DISTINCT timestamp FROM messages WHERE timestamp > 0 ORDER BY 1")
        times = [
            (round((begin + k + 1) * 1e9 / RATE_HZ), was)
            for k, (was,) in enumerate(rows.fetchall())
        ]
        if len(times) != images:
            raise ValueError(f"{path} has {len(times)} frames; expected {images}: try again")
        bag.executemany("UPDATE messages SET timestamp = -? WHERE timestamp = ?", times)
        bag.execute("UPDATE messages SET timestamp = -timestamp WHERE timestamp < 0")
        bag.commit()


def decoded_small(jpeg: npt.NDArray[np.uint8]) -> Image:
    """Return a JPEG in grey at an eighth of its size, which is fast."""
    image = cv2.imdecode(jpeg, cv2.IMREAD_REDUCED_GRAYSCALE_8)
    assert image is not None
    return np.asarray(image, np.uint8)
