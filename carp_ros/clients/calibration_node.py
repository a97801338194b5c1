"""A client that watches one camera and the arm of a running rig, for `carp calibrate --live`.

Subscribes:
    <camera>/image_raw (Image), joint_states (JointState); for latencies also tool_pose and
        target_pose (PoseStamped), gripper_command and gripper_state (Float64).
It publishes nothing and calls nothing: people move the arm, by teleoperation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64

from carp_ros.calibration.board import Image as RgbImage
from carp_ros.calibration.guide import Moment
from carp_ros.calibration.latency import Signal
from carp_ros.chain import tcp_pose
from carp_ros.inference.pixels import rgb_from_msg
from carp_ros.rig import Rig
from carp_ros.ros.messages import joints_from_msg, pose_from_msg, time_from_msg
from carp_ros.ros.qos import SENSOR
from carp_ros.ros.spinning_node import SpinningNode, taking_part
from carp_ros.types import Array, Pose

_AT_FLANGE = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
_ARM_AGE_NS = 200_000_000


class CalibrationNode(SpinningNode):
    """Keeps the newest image and joints, and on demand the signals of a motion.

    Args:
        rig: The running rig; only its joints' names and its base frame matter.
        camera: Camera to watch; empty: none.
    """

    def __init__(self, rig: Rig, camera: str = "") -> None:
        super().__init__("calibration_node")
        self._robot = rig.robot
        self._lock = threading.Lock()
        self._image: tuple[int, RgbImage] | None = None
        self._joints: tuple[int, Array, float] | None = None
        self._given_ns = 0
        self._signals: dict[str, tuple[list[int], list[Array]]] = {}
        self.create_subscription(JointState, "joint_states", self._take_joints, SENSOR)
        if camera:
            self.create_subscription(Image, f"{camera}/image_raw", self._take_image, SENSOR)

    def moment(self) -> Moment | None:
        """Return what is seen now; None until there is a new image."""
        self.require_listening()
        with self._lock:
            image, joints = self._image, self._joints
        if image is None or image[0] == self._given_ns:
            return None
        stamp_ns, rgb = image
        self._given_ns = stamp_ns
        if joints is None or abs(joints[0] - stamp_ns) > _ARM_AGE_NS:
            return Moment(stamp_ns, rgb, None, 0.0)
        flange = tcp_pose(self._robot, _AT_FLANGE, joints[1].tolist())
        return Moment(stamp_ns, rgb, flange, joints[2])

    def flange(self) -> tuple[Pose, float] | None:
        """Return `base_from_flange` and the fastest joint's speed; None before the first state.

        The speed is NaN if the state has none.
        """
        self.require_listening()
        with self._lock:
            joints = self._joints
        if joints is None:
            return None
        return tcp_pose(self._robot, _AT_FLANGE, joints[1].tolist()), joints[2]

    def record_signals(self, *names: str) -> None:
        """Begin to keep `tool_pose`, `target_pose`, `gripper_command` or `gripper_state`."""
        for name in names:
            self._signals[name] = ([], [])
            if name in ("tool_pose", "target_pose"):
                self.create_subscription(PoseStamped, name, self._pose_taker(name), SENSOR)
            else:
                self.create_subscription(Float64, name, self._number_taker(name), SENSOR)

    def signal(self, name: str) -> Signal:
        """Return what was kept of a topic, by increasing time."""
        with self._lock:
            kept, values = self._signals[name]
            times_ns = np.array(kept, dtype=np.int64)
            table = np.array(values, dtype=np.float64).reshape(len(kept), -1)
        latest_ns = np.maximum.accumulate(times_ns)
        later = np.ones(len(times_ns), bool)
        later[1:] = times_ns[1:] > latest_ns[:-1]
        return Signal(times_ns[later], table[later])

    def _pose_taker(self, name: str) -> Callable[[PoseStamped], None]:
        def take(msg: PoseStamped) -> None:
            pose = pose_from_msg(msg, self._robot.base_frame)
            self._keep(name, time_from_msg(msg.header.stamp), pose.position)

        return take

    def _number_taker(self, name: str) -> Callable[[Float64], None]:
        def take(msg: Float64) -> None:
            self._keep(name, self.get_clock().now().nanoseconds, np.array([msg.data]))

        return take

    def _keep(self, name: str, stamp_ns: int, values: Array) -> None:
        with self._lock:
            times, rows = self._signals[name]
            times.append(stamp_ns)
            rows.append(values)

    def _take_image(self, msg: Image) -> None:
        seen = (time_from_msg(msg.header.stamp), rgb_from_msg(msg))  # a damaged one is refused here
        with self._lock:
            self._image = seen

    def _take_joints(self, msg: JointState) -> None:
        joints = joints_from_msg(msg, self._robot.joint_names)
        speed = np.max(np.abs(msg.velocity), initial=0.0) if len(msg.velocity) else np.nan
        with self._lock:
            self._joints = (time_from_msg(msg.header.stamp), joints, float(speed))


@contextmanager
def calibration_node(rig: Rig, camera: str = "") -> Iterator[CalibrationNode]:
    """Join the ROS graph to watch a rig."""
    with taking_part(lambda: CalibrationNode(rig, camera)) as node:
        yield node
