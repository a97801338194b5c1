"""ROS node that publishes a rig's messages without a rig, to load and test the recorder.

Stamps are on an exact grid, as from a camera with its own clock, and none is skipped however late
this process is: whatever is missing downstream was lost.

Publishes:
    <camera>/image_raw (Image), <camera>/camera_info (CameraInfo): at the rates of the rig's file.
    joint_states (JointState), tool_pose, target_pose (PoseStamped), gripper_state,
    gripper_command (Float64): 100 Hz; the tool moves back and forth.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64

from carp_ros.control.realtime import prefer_process
from carp_ros.processes.ros_environment import IMAGES_PROFILE
from carp_ros.rig_cameras import CameraConfig, optical_frame
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.messages import (
    camera_info_to_msg,
    image_to_msg,
    joints_to_msg,
    pose_to_msg,
    time_to_msg,
)
from carp_ros.ros.params import rig_parameter
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import SENSOR
from carp_ros.types import Intrinsics, Pose

_STATE_HZ = 100.0
_IMAGES = 8
_DOWN = np.array([1.0, 0.0, 0.0, 0.0])


class SyntheticNode(GuardedNode):
    """Replaces cell and control node."""

    def __init__(self) -> None:
        prefer_process(niceness=-5)  # to be as punctual as a camera's own clock
        super().__init__("synthetic_node")
        self._rig = rig_parameter(self)
        self._begin_ns = self.get_clock().now().nanoseconds
        self._steady_begin_ns = time.monotonic_ns()
        for name, camera in self._rig.cameras.items():
            self._every(1.0 / camera.rate_hz, self._camera(name, camera))
        self._joints = self.create_publisher(JointState, "joint_states", SENSOR)
        self._tool = self.create_publisher(PoseStamped, "tool_pose", SENSOR)
        self._target = self.create_publisher(PoseStamped, "target_pose", SENSOR)
        self._grippers = [
            self.create_publisher(Float64, name, SENSOR)
            for name in ("gripper_state", "gripper_command")
        ]
        self._every(1.0 / _STATE_HZ, self._publish_state)

    def _every(self, period_s: float, publish: Callable[[int, int], None]) -> None:
        """Call `publish` with a number and a stamp for every period that has passed."""
        period_ns = round(period_s * 1e9)
        number = 0

        def on_timer() -> None:
            nonlocal number
            while number * period_ns <= time.monotonic_ns() - self._steady_begin_ns:
                publish(number, self._begin_ns + number * period_ns)
                number += 1

        self.create_timer(period_s, on_timer)

    def _camera(self, name: str, camera: CameraConfig) -> Callable[[int, int], None]:
        frame = optical_frame(name)
        messages = [_image(camera, number, frame) for number in range(_IMAGES)]
        info = camera_info_to_msg(
            Intrinsics(camera.width_px, camera.height_px, np.eye(3), frame), 0
        )
        images = self.create_publisher(Image, f"{name}/image_raw", SENSOR)
        infos = self.create_publisher(CameraInfo, f"{name}/camera_info", SENSOR)

        def publish(number: int, stamp_ns: int) -> None:
            message = messages[number % _IMAGES]
            message.header.stamp = info.header.stamp = time_to_msg(stamp_ns)
            images.publish(message)
            infos.publish(info)

        return publish

    def _publish_state(self, number: int, stamp_ns: int) -> None:
        robot = self._rig.robot
        home = np.array(self._rig.home_joints_rad)
        still = np.zeros_like(home)
        frame = robot.base_frame
        self._joints.publish(joints_to_msg(robot.joint_names, home, still, stamp_ns, frame))
        position = np.array([0.5, 0.1 * np.sin(number / _STATE_HZ), 0.2])
        for publisher in (self._tool, self._target):
            publisher.publish(pose_to_msg(Pose(position, _DOWN), stamp_ns, frame))
        for publisher in self._grippers:
            publisher.publish(Float64(data=0.0))


def _image(camera: CameraConfig, number: int, frame: str) -> Image:
    """Return an image that compresses about as badly as a real one."""
    rows, columns = np.mgrid[: camera.height_px, : camera.width_px]
    shape = 128 + 90 * np.sin((rows + 7 * number) / 30.0) * np.cos(columns / 50.0)
    noise = np.random.default_rng(number).normal(0.0, 4.0, (camera.height_px, camera.width_px, 3))
    return image_to_msg(np.clip(shape[..., None] + noise, 0, 255).astype(np.uint8), 0, frame)


def main() -> None:
    """Publish until shutdown."""
    run_node(SyntheticNode, profile=IMAGES_PROFILE)


if __name__ == "__main__":
    main()
