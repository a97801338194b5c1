"""The camera node on files in place of cameras: what subscribers get, and what it tells."""

import threading

import cv2
import numpy as np
import pyrealsense2 as rs  # noqa: F401  (the reason to skip this file where it is missing)
import pytest
import rclpy
import yaml
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from carp_ros.nodes import camera_node
from carp_ros.nodes.camera_node import CameraNode
from carp_ros.ros.executor import CachedWaitSetExecutor
from carp_ros.ros.messages import time_from_msg
from carp_ros.ros.qos import SENSOR

from ..patience import await_true
from ..realsense_recordings import HEIGHT_PX, WIDTH_PX, record
from ..video_files import write_video
from .conftest import REPOSITORY

IMAGES = 20


@pytest.fixture
def node(tmp_path):
    """A running camera node with a video file and a recording with depth."""
    size = {"width_px": WIDTH_PX, "height_px": HEIGHT_PX}
    video = write_video(tmp_path / "left.avi", IMAGES)
    recording = record(tmp_path / "right.db3", IMAGES, depth=True)
    content = yaml.safe_load((REPOSITORY / "config" / "ur5e_sim.yaml").read_text())
    content["cameras"] = {
        "left": {"driver": "opencv", "device": str(video), **size},
        "right": {"driver": "realsense", "playback_file": str(recording), "depth": True, **size},
    }
    path = tmp_path / "rig.yaml"
    path.write_text(yaml.safe_dump(content))
    rclpy.init(args=["--ros-args", "-p", f"rig:={path}"])
    made = CameraNode()
    executor = CachedWaitSetExecutor()
    executor.add_node(made)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield made
    executor.shutdown()
    thread.join(5.0)
    made.destroy_node()
    rclpy.shutdown()


def hear(node, kind, topic):
    """Return a list that fills with a topic's messages."""
    heard = []
    node.create_subscription(kind, topic, heard.append, SENSOR)
    return heard


@pytest.mark.parametrize("name", ["left", "right"])
def test_images_infos_jpeg_and_depth_share_their_stamps(node, name):
    images = hear(node, Image, f"{name}/image_raw")
    infos = hear(node, CameraInfo, f"{name}/camera_info")
    jpegs = hear(node, CompressedImage, f"{name}/image_raw/compressed")
    depths = hear(node, Image, f"{name}/depth/image_raw")
    # subscribers are found while the first images go by: the files are played again and again
    wanted = [images, infos, jpegs, *([depths] if name == "right" else [])]
    await_true(lambda: all(len(heard) > 5 for heard in wanted), 40.0, "messages of every kind")

    stamps = [time_from_msg(msg.header.stamp) for msg in images]
    for others in (infos, jpegs, depths):
        later = [time_from_msg(msg.header.stamp) for msg in others]
        assert len(set(later) & set(stamps)) >= min(len(later) - 1, 5)
    msg = next(m for m in jpegs if time_from_msg(m.header.stamp) in stamps)
    same = images[stamps.index(time_from_msg(msg.header.stamp))]
    decoded = cv2.imdecode(np.frombuffer(msg.data, np.uint8), cv2.IMREAD_COLOR)
    raw = np.frombuffer(same.data, np.uint8).reshape(HEIGHT_PX, WIDTH_PX, 3)
    assert msg.format == "rgb8; jpeg compressed bgr8"
    assert np.abs(decoded[:, :, ::-1].astype(int) - raw).mean() < 8.0
    if name == "left":
        assert depths == []
        return
    assert {(d.encoding, d.step, d.header.frame_id) for d in depths} == {
        ("16UC1", 2 * WIDTH_PX, "right_optical_frame")
    }


def test_jpeg_is_compressed_only_while_somebody_subscribes(node, monkeypatch):
    compressed = []
    monkeypatch.setattr(
        camera_node,
        "jpeg_to_msg",
        lambda *_: compressed.append(1) or CompressedImage(),
    )
    images = hear(node, Image, "left/image_raw")
    await_true(lambda: len(images) > 5, 20.0, "images")
    assert compressed == []

    subscription = node.create_subscription(
        CompressedImage, "left/image_raw/compressed", lambda msg: None, SENSOR
    )
    await_true(lambda: compressed, 20.0, "a compressed image")
    node.destroy_subscription(subscription)
    before = len(images)
    await_true(lambda: len(images) > before + 3, 20.0, "images")
    compressed.clear()
    await_true(lambda: len(images) > before + 9, 20.0, "images")
    assert compressed == []


def test_diagnostics_tell_the_guess_the_file_and_what_the_images_look_like(node):
    heard = []
    node.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)

    def statuses():
        return {s.name: s for msg in heard for s in msg.status}

    await_true(lambda: "camera: left" in statuses(), 20.0, "a status")
    await_true(
        lambda: "place of a camera" in statuses()["camera: left"].message, 30.0, "its remarks"
    )
    assert "guess" in statuses()["camera: left"].message
