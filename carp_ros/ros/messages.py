"""Converts messages to values and back; checks frames, names, encodings and numbers, once.

Stamps are in ROS time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import PoseStamped, Transform, TwistStamped, WrenchStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Header
from trajectory_msgs.msg import (
    JointTrajectory,
    JointTrajectoryPoint,
    MultiDOFJointTrajectory,
    MultiDOFJointTrajectoryPoint,
)

from carp_ros.control.command import MAX_STEPS
from carp_ros.errors import ChunkError, MessageError
from carp_ros.inference.pixels import JPEG_FORMAT, jpeg_from_rgb
from carp_ros.recording.message_reader import require_wrench
from carp_ros.types import Array, Chunk, Intrinsics, Pose, Twist

TCP = "tcp"
GRIPPER = "gripper"
_PAST_NS = 10_000_000_000
_FUTURE_NS = 100_000_000
_FARTHEST_M = 1e9  # far beyond any arm, but safe for arithmetic
_FARTHEST_RAD = 1e9
_JPEG_QUALITY = 90  # for looking at; recordings have their own


def time_to_msg(time_ns: int) -> Time:
    """Return nanoseconds of ROS time as a message."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


def time_from_msg(msg: Time) -> int:
    """Return a message's time in nanoseconds."""
    return msg.sec * 1_000_000_000 + msg.nanosec


def recent_stamp_ns(msg: Time, now_ns: int) -> int:
    """Return a message's time in nanoseconds, which must be close to now.

    Raises:
        MessageError: If it is further in the past or future than transport delay and synchronised
            clocks can explain.
    """
    stamp_ns = time_from_msg(msg)
    age_ns = now_ns - stamp_ns
    if msg.nanosec >= 1_000_000_000 or not -_FUTURE_NS <= age_ns <= _PAST_NS:
        where = "in the past" if age_ns > 0 else "in the future"
        raise MessageError(
            f"stamp {msg.sec} s {msg.nanosec} ns is {abs(age_ns) * 1e-9:.3f} s {where}; expected at"
            f" most {_PAST_NS * 1e-9:.0f} s in the past, {_FUTURE_NS * 1e-9:.1f} s in the future:"
            " synchronise the clocks"
        )
    return stamp_ns


def header(stamp_ns: int, frame: str) -> Header:
    """Return a header."""
    return Header(stamp=time_to_msg(stamp_ns), frame_id=frame)


def pose_to_msg(pose: Pose, stamp_ns: int, frame: str) -> PoseStamped:
    """Return a pose in `frame`."""
    msg = PoseStamped(header=header(stamp_ns, frame))
    p, q = msg.pose.position, msg.pose.orientation
    p.x, p.y, p.z = pose.position.tolist()
    q.x, q.y, q.z, q.w = pose.quaternion.tolist()
    return msg


def pose_from_msg(msg: PoseStamped, frame: str) -> Pose:
    """Return the pose of a message given in `frame`.

    Raises:
        MessageError: If it is in another frame, a number is not finite or far too large, or the
            quaternion is not of unit length.
    """
    _require_frame(msg.header, frame, "pose")
    p, q = msg.pose.position, msg.pose.orientation
    numbers = np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w])
    if not np.isfinite(numbers).all() or np.abs(numbers).max() > _FARTHEST_M:
        raise MessageError(
            f"pose is {numbers.tolist()}; expected finite numbers of at most {_FARTHEST_M:g}"
        )
    length = float(np.linalg.norm(numbers[3:]))
    if abs(length - 1.0) > 1e-3:
        raise MessageError(f"pose's quaternion has length {length:.4f}; expected 1 within 0.001")
    return Pose(numbers[:3], numbers[3:])


def twist_to_msg(twist: Twist, stamp_ns: int, frame: str) -> TwistStamped:
    """Return a twist in the axes of `frame`."""
    msg = TwistStamped(header=header(stamp_ns, frame))
    linear, angular = msg.twist.linear, msg.twist.angular
    linear.x, linear.y, linear.z = twist.linear.tolist()
    angular.x, angular.y, angular.z = twist.angular.tolist()
    return msg


def twist_from_msg(msg: TwistStamped, frame: str) -> Twist:
    """Return the twist of a message given in the axes of `frame`.

    Raises:
        MessageError: If it is in another frame.
        TwistError: If a number is not finite or far too large.
    """
    _require_frame(msg.header, frame, "twist")
    linear, angular = msg.twist.linear, msg.twist.angular
    return Twist(
        np.array([linear.x, linear.y, linear.z]), np.array([angular.x, angular.y, angular.z])
    )


def chunk_to_msgs(chunk: Chunk, frame: str) -> tuple[MultiDOFJointTrajectory, JointTrajectory]:
    """Return a chunk as two messages with the same stamp; step times are relative to the stamp."""
    pose_points, gripper_points = [], []
    for i, time_ns in enumerate(chunk.times_ns.tolist()):
        transform = Transform()
        t, r = transform.translation, transform.rotation
        t.x, t.y, t.z = chunk.positions[i].tolist()
        r.x, r.y, r.z, r.w = chunk.quaternions[i].tolist()
        after = time_to_msg(time_ns - chunk.stamp_ns)
        duration = Duration(sec=after.sec, nanosec=after.nanosec)
        pose_points.append(
            MultiDOFJointTrajectoryPoint(transforms=[transform], time_from_start=duration)
        )
        gripper_points.append(
            JointTrajectoryPoint(positions=[float(chunk.gripper[i])], time_from_start=duration)
        )
    return (
        MultiDOFJointTrajectory(
            header=header(chunk.stamp_ns, frame), joint_names=[TCP], points=pose_points
        ),
        JointTrajectory(
            header=header(chunk.stamp_ns, frame), joint_names=[GRIPPER], points=gripper_points
        ),
    )


def chunk_from_msgs(poses: MultiDOFJointTrajectory, gripper: JointTrajectory, frame: str) -> Chunk:
    """Return the chunk that two messages make up.

    Raises:
        MessageError: If a frame, name or stamp is not as expected.
        ChunkError: If the numbers are no valid chunk, or the chunk is too long for the servo.
    """
    longest = max(len(poses.points), len(gripper.points))
    if longest > MAX_STEPS:
        raise ChunkError(
            f"chunk has {longest} steps; expected at most {MAX_STEPS}: send fewer at a time"
        )
    _require_frame(poses.header, frame, "chunk")
    for msg, name in ((poses, TCP), (gripper, GRIPPER)):
        if list(msg.joint_names) != [name]:
            raise MessageError(f"chunk moves {list(msg.joint_names)}; expected ['{name}']")
    stamp_ns = time_from_msg(poses.header.stamp)
    gripper_stamp_ns = time_from_msg(gripper.header.stamp)
    if gripper_stamp_ns != stamp_ns:
        raise MessageError(
            f"gripper chunk has stamp {gripper_stamp_ns} ns; expected that of the chunk,"
            f" {stamp_ns} ns"
        )
    if len(gripper.points) != len(poses.points):
        raise MessageError(
            f"gripper chunk has {len(gripper.points)} steps; the chunk has {len(poses.points)}"
        )
    transforms = [point.transforms[0] for point in poses.points if len(point.transforms) == 1]
    closures = [point.positions[0] for point in gripper.points if len(point.positions) == 1]
    if len(transforms) != len(poses.points) or len(closures) != len(gripper.points):
        raise MessageError("a step lacks a pose or closure or has several; expected one each")
    after_ns = _times_from_start(poses)
    if _times_from_start(gripper) != after_ns:
        raise MessageError("gripper chunk's steps are due at other times than the chunk's")
    translations = [(t.translation.x, t.translation.y, t.translation.z) for t in transforms]
    rotations = [(t.rotation.x, t.rotation.y, t.rotation.z, t.rotation.w) for t in transforms]
    return Chunk(
        stamp_ns=stamp_ns,
        times_ns=stamp_ns + np.array(after_ns, dtype=np.int64),
        positions=np.array(translations, dtype=float).reshape(-1, 3),
        quaternions=np.array(rotations, dtype=float).reshape(-1, 4),
        gripper=np.array(closures, dtype=float),
    )


def _times_from_start(msg: MultiDOFJointTrajectory | JointTrajectory) -> list[int]:
    """Return when each step is due, in nanoseconds after the stamp."""
    durations = [point.time_from_start for point in msg.points]
    return [duration.sec * 1_000_000_000 + duration.nanosec for duration in durations]


def joints_to_msg(
    names: tuple[str, ...], joints: Array, velocities: Array, stamp_ns: int, frame: str
) -> JointState:
    """Return measured joints in [rad] and [rad/s]."""
    return JointState(
        header=header(stamp_ns, frame),
        name=list(names),
        position=joints.tolist(),
        velocity=velocities.tolist(),
    )


def joints_from_msg(msg: JointState, names: tuple[str, ...]) -> Array:
    """Return joint positions in the order of `names`, of shape (J,) in [rad].

    Raises:
        MessageError: If a name is missing or a number is not finite.
    """
    if len(set(msg.name)) != len(msg.name):
        raise MessageError(f"joint state names {list(msg.name)[:20]}; expected each name once")
    positions = dict(zip(msg.name, msg.position))
    missing = [name for name in names if name not in positions]
    if missing:
        raise MessageError(f"joint state lacks {missing}; it has {list(msg.name)[:20]}")
    joints = np.array([positions[name] for name in names])
    if not (np.abs(joints) <= _FARTHEST_RAD).all():  # also false for NaN
        raise MessageError(
            f"joint state is {joints.tolist()} rad; expected finite numbers of at most"
            f" {_FARTHEST_RAD:g} rad"
        )
    return joints


def wrench_to_msg(wrench: Array, stamp_ns: int) -> WrenchStamped:
    """Return a wrench about the TCP in the TCP's axes, of shape (6,) in [N] and [Nm]."""
    msg = WrenchStamped(header=header(stamp_ns, TCP))
    force, torque = msg.wrench.force, msg.wrench.torque
    force.x, force.y, force.z, torque.x, torque.y, torque.z = wrench.tolist()
    return msg


def wrench_from_msg(msg: WrenchStamped) -> Array:
    """Return a wrench about the TCP in the TCP's axes, of shape (6,) in [N] and [Nm].

    Raises:
        MessageError: If it is in another frame, or a number is not finite or far too large.
    """
    _require_frame(msg.header, TCP, "wrench")
    force, torque = msg.wrench.force, msg.wrench.torque
    numbers = (force.x, force.y, force.z, torque.x, torque.y, torque.z)
    return require_wrench(np.array(numbers))


def image_to_msg(image: npt.NDArray[np.uint8], stamp_ns: int, frame: str) -> Image:
    """Return an RGB image of shape (H, W, 3)."""
    height, width, _ = image.shape
    msg = Image(
        header=header(stamp_ns, frame),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
    )
    msg.data = image.tobytes()
    return msg


def jpeg_to_msg(image: npt.NDArray[np.uint8], stamp_ns: int, frame: str) -> CompressedImage:
    """Return an RGB image of shape (H, W, 3) as JPEG."""
    msg = CompressedImage(header=header(stamp_ns, frame), format=JPEG_FORMAT)
    msg.data = jpeg_from_rgb(image, _JPEG_QUALITY)
    return msg


def depth_to_msg(depth: npt.NDArray[np.uint16], stamp_ns: int, frame: str) -> Image:
    """Return depth in [mm] of shape (H, W), 0 where it is unknown (REP 118)."""
    height, width = depth.shape
    msg = Image(
        header=header(stamp_ns, frame),
        height=height,
        width=width,
        encoding="16UC1",
        is_bigendian=0,
        step=2 * width,
    )
    msg.data = depth.astype("<u2", copy=False).tobytes()
    return msg


def camera_info_to_msg(intrinsics: Intrinsics, stamp_ns: int) -> CameraInfo:
    """Return the camera info of a camera whose images are published unrectified."""
    projection = np.zeros((3, 4))
    projection[:, :3] = intrinsics.matrix
    return CameraInfo(
        header=header(stamp_ns, intrinsics.frame),
        width=intrinsics.width_px,
        height=intrinsics.height_px,
        distortion_model="plumb_bob",
        d=list(intrinsics.distortion),
        k=intrinsics.matrix.reshape(-1).tolist(),
        r=np.eye(3).reshape(-1).tolist(),
        p=projection.reshape(-1).tolist(),
    )


def _require_frame(msg_header: Header, frame: str, what: str) -> None:
    if msg_header.frame_id != frame:
        raise MessageError(f"{what} is in frame {msg_header.frame_id!r}; expected {frame!r}")
