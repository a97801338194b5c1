"""Aligns images and measurements in time to observations.

This is the package's only time alignment, used by the live policy and by the conversion of recorded
episodes, so that a dataset's frame equals what the policy saw at that time. It reads no clock.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from carp_ros.geometry import slerp
from carp_ros.inference.policy_spec import SKEW_S
from carp_ros.inference.track import Track
from carp_ros.types import Array, Observation, Pose

STATE_GAP_S = 0.2
"""Measurements farther apart than this are not interpolated."""

Image = npt.NDArray[np.uint8]


class ObservationBuffer:
    """The recent past of every stream of a policy's observations.

    A stamp is the time of measurement (for an image: of its capture); all have the same clock.
    Within a stream stamps must increase; a value whose stamp does not is ignored.

    Args:
        cameras: Their names.
        reference: The camera whose capture times define the observations' times.
        skew_s: Largest difference between an observation's time and an image's capture.
        history_s: How far back from a stream's newest value observations can be made.
        wrench: Whether observations have the measured wrench.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        reference: str,
        skew_s: float = SKEW_S,
        history_s: float = 1.0,
        *,
        wrench: bool = False,
    ) -> None:
        if reference not in cameras:
            raise ValueError(f"reference camera is {reference!r}; cameras are {', '.join(cameras)}")
        self.reference = reference
        self._images = {
            name: Track[Image](f"image of {name}", history_s, skew_s) for name in cameras
        }
        self._tcp_poses = Track[Pose]("tool pose", history_s, STATE_GAP_S)
        self._joints = Track[Array]("joint state", history_s, STATE_GAP_S)
        self._gripper = Track[float]("gripper closure", history_s, STATE_GAP_S)
        self._wrenches = Track[Array]("wrench", history_s, STATE_GAP_S) if wrench else None
        # an observation waits for each of these, but not for the gripper
        self._awaited = (*self._images.values(), self._tcp_poses, self._joints)
        if self._wrenches is not None:
            self._awaited = (*self._awaited, self._wrenches)

    def take_image(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Add an image, RGB of shape (H, W, 3). It is not copied, so it must not be changed."""
        self._images[camera].take(stamp_ns, image)

    def take_tcp_pose(self, stamp_ns: int, tcp_pose: Pose) -> None:
        """Add a measured `base_from_tcp`."""
        self._tcp_poses.take(stamp_ns, tcp_pose)

    def take_joints(self, stamp_ns: int, joints: Array) -> None:
        """Add measured joint positions, of shape (J,) in [rad]."""
        self._joints.take(stamp_ns, joints)

    def take_wrench(self, stamp_ns: int, wrench: Array) -> None:
        """Add a measured wrench, of shape (6,) in [N] and [Nm]; ignored if it is not asked for."""
        if self._wrenches is not None:
            self._wrenches.take(stamp_ns, wrench)

    def take_gripper(self, stamp_ns: int, closure: float) -> None:
        """Add a measured closure, 0 open to 1 closed, stamped on arrival."""
        self._gripper.take(stamp_ns, closure)

    @property
    def newest_ns(self) -> int:
        """Stamp of the newest reference image that every awaited stream has caught up with.

        0 if there is none. The newest observation has this time, unless a stream has a gap.
        """
        known_ns = min(self._newest_of_each_ns)
        captures_ns = self._images[self.reference].stamps_ns
        return next((stamp_ns for stamp_ns in reversed(captures_ns) if stamp_ns <= known_ns), 0)

    def recent(self, count: int, step_ns: int) -> list[Observation] | str:
        """Return the observation at `newest_ns` and earlier ones, or the reason why there are none.

        They are in the order of their times. The caller, which has a clock, decides whether the
        last one is too old.

        Args:
            count: Their number.
            step_ns: Time between two of them.
        """
        captures_ns = self._images[self.reference].stamps_ns
        newest = self.at(self.newest_ns or (captures_ns or [0])[-1])
        if isinstance(newest, str):
            return newest
        found = [newest]
        for back in range(1, count):
            earlier = self.at(newest.stamp_ns - back * step_ns)
            if isinstance(earlier, str):
                return earlier
            found.insert(0, earlier)
        return found

    @property
    def slowest(self) -> str:
        """The stream whose newest sample is the oldest, which the next observation waits for.

        Described by its samples, such as "image of wrist_cam".
        """
        newest_ns = self._newest_of_each_ns
        return self._awaited[newest_ns.index(min(newest_ns))].name

    @property
    def _newest_of_each_ns(self) -> list[int]:
        return [track.stamps_ns[-1] if track.stamps_ns else 0 for track in self._awaited]

    def at(self, stamp_ns: int) -> Observation | str:
        """Return the observation at a time, or the reason why there is none.

        Each image is the one captured nearest to the time, the earlier of two equally near. The
        tool pose is interpolated between the two measurements around it, linearly in position and
        the shorter way in rotation; joints are interpolated linearly; nothing is extrapolated. The
        gripper, which is read seldom and stamped on arrival, has its last reading: waiting for the
        next would make every plan up to 40 ms older. Later data never changes the answer.

        Args:
            stamp_ns: The time; for policies and datasets a capture time of the reference camera.
        """
        images: dict[str, Image] = {}
        image_stamps_ns: dict[str, int] = {}
        for name, track in self._images.items():
            nearest = track.nearest(stamp_ns)
            if isinstance(nearest, str):
                return nearest
            image_stamps_ns[name], images[name] = nearest
        tcp_pose = self._tcp_poses.between(stamp_ns, pose_between)
        if isinstance(tcp_pose, str):
            return tcp_pose
        joints = self._joints.between(stamp_ns, array_between)
        if isinstance(joints, str):
            return joints
        gripper = self._gripper.before(stamp_ns)
        if isinstance(gripper, str):
            return gripper
        wrench = None
        if self._wrenches is not None:
            wrench = self._wrenches.between(stamp_ns, array_between)
            if isinstance(wrench, str):
                return wrench
        return Observation(
            stamp_ns, images, image_stamps_ns, tcp_pose, gripper, joints, wrench=wrench
        )


def pose_between(start: Pose, end: Pose, fraction: float) -> Pose:
    """Interpolate between two poses: linearly in position, the shorter way in rotation."""
    position = start.position + fraction * (end.position - start.position)
    return Pose(position, slerp(start.quaternion, end.quaternion, fraction))


def array_between(start: Array, end: Array, fraction: float) -> Array:
    """Interpolate linearly between two arrays."""
    return start + fraction * (end - start)
