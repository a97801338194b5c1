"""Serializes and deserializes the recorded topics' messages without ROS.

The bytes are those of the messages that `ros/messages.py` makes from the same values.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rosbags.typesys import Stores, get_typestore

from carp_ros.errors import MessageError
from carp_ros.inference.pixels import JPEG_FORMAT, jpeg_from_rgb, rgb_from_msg
from carp_ros.recording.image_header import not_an_image, require_image
from carp_ros.types import Array, Chunk, Intrinsics, Pose, Twist

IMAGE = "sensor_msgs/msg/Image"
JPEG = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
JOINTS = "sensor_msgs/msg/JointState"
POSE = "geometry_msgs/msg/PoseStamped"
TWIST = "geometry_msgs/msg/TwistStamped"
WRENCH = "geometry_msgs/msg/WrenchStamped"
NUMBER = "std_msgs/msg/Float64"
FLAG = "std_msgs/msg/Bool"
TEXT = "std_msgs/msg/String"
POSE_CHUNK = "trajectory_msgs/msg/MultiDOFJointTrajectory"
GRIPPER_CHUNK = "trajectory_msgs/msg/JointTrajectory"

_STORE = get_typestore(Stores.ROS2_JAZZY)
_JPEG_QUALITY = 95
TCP_FRAME = "tcp"
"""Frame of a wrench: at the tool centre point, with the tool's axes."""

Image = npt.NDArray[np.uint8]


def encode_image(image: Image, stamp_ns: int, frame: str) -> bytes:
    """Serialize an RGB image of shape (H, W, 3), uncompressed."""
    height, width, _ = image.shape
    return encode(
        IMAGE,
        header=_header(stamp_ns, frame),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(image).reshape(-1),
    )


def encode_jpeg(image: Image, stamp_ns: int, frame: str) -> bytes:
    """Serialize an RGB image of shape (H, W, 3) as JPEG."""
    return encode(
        JPEG,
        header=_header(stamp_ns, frame),
        format=JPEG_FORMAT,
        data=np.frombuffer(jpeg_from_rgb(image, _JPEG_QUALITY), np.uint8),
    )


def decode_image(kind: str, cdr: bytes) -> Image:
    """Return an image as RGB of shape (H, W, 3).

    Args:
        kind: `IMAGE`, or `JPEG`, which may also hold a PNG.
        cdr: The serialized message.

    Raises:
        MessageError: If the data are no image, or `rgb_from_msg` refuses them.
    """
    return image_of(kind, decode(kind, cdr))


def image_of(kind: str, msg: Any) -> Image:
    """Return a decoded message's image, as `decode_image` does."""
    if kind == JPEG:
        require_image(msg.data, msg.format)
        bgr = cv2.imdecode(msg.data, cv2.IMREAD_COLOR)
        if bgr is None:
            raise not_an_image(msg.data, msg.format)
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    return rgb_from_msg(msg)


def encode_camera_info(intrinsics: Intrinsics, stamp_ns: int) -> bytes:
    """Serialize the intrinsics of a camera whose images are recorded unrectified."""
    projection = np.zeros((3, 4))
    projection[:, :3] = intrinsics.matrix
    return encode(
        CAMERA_INFO,
        header=_header(stamp_ns, intrinsics.frame),
        height=intrinsics.height_px,
        width=intrinsics.width_px,
        distortion_model="plumb_bob",
        d=np.array(intrinsics.distortion),
        k=intrinsics.matrix.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=projection.reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=_make(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0,
            y_offset=0,
            height=0,
            width=0,
            do_rectify=False,
        ),
    )


def encode_joints(
    names: tuple[str, ...], joints: Array, velocities: Array, stamp_ns: int, frame: str
) -> bytes:
    """Serialize measured joints in [rad] and [rad/s]."""
    return encode(
        JOINTS,
        header=_header(stamp_ns, frame),
        name=list(names),
        position=joints,
        velocity=velocities,
        effort=np.zeros(0),
    )


def decode_joints(cdr: bytes, names: tuple[str, ...]) -> Array:
    """Return joint positions in the order of `names`, of shape (J,) in [rad].

    Raises:
        MessageError: If a name is missing or a number is not finite.
    """
    return joints_of(decode(JOINTS, cdr), names)


def joints_of(msg: Any, names: tuple[str, ...]) -> Array:
    """Return a decoded message's joint positions in the order of `names`, of shape (J,) in [rad].

    Raises:
        MessageError: If a name is missing or a number is not finite.
    """
    positions = dict(zip(msg.name, msg.position))
    missing = [name for name in names if name not in positions]
    if missing:
        raise MessageError(f"joint state lacks {missing}; it has {msg.name}")
    joints = np.array([positions[name] for name in names])
    if not np.isfinite(joints).all():
        raise MessageError(f"joint state is {joints.tolist()} rad; expected finite numbers")
    return joints


def encode_pose(pose: Pose, stamp_ns: int, frame: str) -> bytes:
    """Serialize a pose given in `frame`."""
    value = _make(
        "geometry_msgs/msg/Pose",
        position=_make("geometry_msgs/msg/Point", **_xyz(pose.position)),
        orientation=_quaternion(pose.quaternion),
    )
    return encode(POSE, header=_header(stamp_ns, frame), pose=value)


def decode_pose(cdr: bytes, frame: str) -> Pose:
    """Deserialize a pose given in `frame`.

    Raises:
        MessageError: If it is in another frame.
    """
    msg = decode(POSE, cdr)
    _require_frame(msg, frame, "pose")
    return pose_of(msg.pose.position, msg.pose.orientation)


def pose_of(position: Any, orientation: Any) -> Pose:
    """Return a pose from a decoded message's point or vector, and its quaternion."""
    p, q = position, orientation
    return Pose(np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w]))


def encode_twist(twist: Twist, stamp_ns: int, frame: str) -> bytes:
    """Serialize a twist in the axes of `frame`."""
    value = _make(
        "geometry_msgs/msg/Twist",
        linear=_vector(twist.linear),
        angular=_vector(twist.angular),
    )
    return encode(TWIST, header=_header(stamp_ns, frame), twist=value)


def decode_twist(cdr: bytes, frame: str) -> Twist:
    """Deserialize a twist given in the axes of `frame`.

    Raises:
        MessageError: If it is in another frame.
        TwistError: If a number is not finite.
    """
    msg = decode(TWIST, cdr)
    _require_frame(msg, frame, "twist")
    linear, angular = msg.twist.linear, msg.twist.angular
    return Twist(
        np.array([linear.x, linear.y, linear.z]), np.array([angular.x, angular.y, angular.z])
    )


def encode_wrench(wrench: Array, stamp_ns: int) -> bytes:
    """Serialize a wrench about the TCP in the TCP's axes, of shape (6,) in [N] and [Nm]."""
    value = _make("geometry_msgs/msg/Wrench", force=_vector(wrench[:3]), torque=_vector(wrench[3:]))
    return encode(WRENCH, header=_header(stamp_ns, TCP_FRAME), wrench=value)


def decode_wrench(cdr: bytes) -> Array:
    """Deserialize a wrench about the TCP in the TCP's axes, of shape (6,) in [N] and [Nm].

    Raises:
        MessageError: If it is in another frame.
    """
    msg = decode(WRENCH, cdr)
    _require_frame(msg, TCP_FRAME, "wrench")
    f, t = msg.wrench.force, msg.wrench.torque
    return np.array([f.x, f.y, f.z, t.x, t.y, t.z])


def encode_number(number: float) -> bytes:
    """Serialize a number."""
    return encode(NUMBER, data=number)


def decode_number(cdr: bytes) -> float:
    """Deserialize a number."""
    return decode(NUMBER, cdr).data


def encode_flag(flag: bool) -> bytes:
    """Serialize a Boolean."""
    return encode(FLAG, data=flag)


def decode_flag(cdr: bytes) -> bool:
    """Deserialize a Boolean."""
    return decode(FLAG, cdr).data


def encode_text(text: str) -> bytes:
    """Serialize a string."""
    return encode(TEXT, data=text)


def decode_text(cdr: bytes) -> str:
    """Deserialize a string."""
    return decode(TEXT, cdr).data


def encode_chunk(chunk: Chunk, frame: str) -> tuple[bytes, bytes]:
    """Serialize a chunk as two messages: poses and gripper closures."""
    durations = [
        _make("builtin_interfaces/msg/Duration", **_time(time_ns - chunk.stamp_ns))
        for time_ns in chunk.times_ns.tolist()
    ]
    pose_points = [
        _make(
            "trajectory_msgs/msg/MultiDOFJointTrajectoryPoint",
            transforms=[
                _make(
                    "geometry_msgs/msg/Transform",
                    translation=_vector(position),
                    rotation=_quaternion(quaternion),
                )
            ],
            velocities=[],
            accelerations=[],
            time_from_start=duration,
        )
        for position, quaternion, duration in zip(chunk.positions, chunk.quaternions, durations)
    ]
    nothing = np.zeros(0)
    gripper_points = [
        _make(
            "trajectory_msgs/msg/JointTrajectoryPoint",
            positions=np.array([closure]),
            velocities=nothing,
            accelerations=nothing,
            effort=nothing,
            time_from_start=duration,
        )
        for closure, duration in zip(chunk.gripper, durations)
    ]
    header = _header(chunk.stamp_ns, frame)
    return (
        encode(POSE_CHUNK, header=header, joint_names=["tcp"], points=pose_points),
        encode(GRIPPER_CHUNK, header=header, joint_names=["gripper"], points=gripper_points),
    )


def decode(kind: str, cdr: bytes) -> Any:
    """Deserialize a message of any recorded type, with the attributes that it has in ROS.

    Raises:
        MessageError: If the bytes are not such a message.
    """
    try:
        return _STORE.deserialize_cdr(memoryview(cdr), kind)  # a memoryview's slices are not copies
    # rosbags' generated code may raise anything on a truncated buffer.
    except Exception as error:
        raise MessageError(
            f"{len(cdr)} bytes are no {kind} ({error!r}); was the bag damaged?"
        ) from error


def stamp_ns(kind: str, cdr: bytes) -> int | None:
    """Return a message's header stamp in [ns]; None if its type has no header.

    Raises:
        MessageError: If it is too short for a header.
    """
    if kind in (NUMBER, FLAG, TEXT):
        return None
    if len(cdr) < 12:
        raise MessageError(f"{len(cdr)} bytes are no {kind}; expected a header")
    # The message starts with the encapsulation, then the header's seconds and nanoseconds.
    order = "little" if cdr[1] & 1 else "big"
    seconds = int.from_bytes(cdr[4:8], order, signed=True)
    return seconds * 1_000_000_000 + int.from_bytes(cdr[8:12], order)


def encode(kind: str, **fields: Any) -> bytes:
    """Serialize a message of any recorded type from its fields, as `decode` returns them."""
    return bytes(_STORE.serialize_cdr(_make(kind, **fields), kind))


def _make(kind: str, **fields: Any) -> Any:
    return _STORE.types[kind](**fields)


def _header(stamp_ns: int, frame: str) -> Any:
    stamp = _make("builtin_interfaces/msg/Time", **_time(stamp_ns))
    return _make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def _time(time_ns: int) -> dict[str, int]:
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return {"sec": seconds, "nanosec": nanoseconds}


def _xyz(vector: Array) -> dict[str, float]:
    x, y, z = vector.tolist()
    return {"x": x, "y": y, "z": z}


def _vector(vector: Array) -> Any:
    return _make("geometry_msgs/msg/Vector3", **_xyz(vector))


def _quaternion(quaternion: Array) -> Any:
    x, y, z, w = quaternion.tolist()
    return _make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


def _require_frame(msg: Any, frame: str, what: str) -> None:
    if msg.header.frame_id != frame:
        raise MessageError(f"{what} is in frame {msg.header.frame_id!r}; expected {frame!r}")
