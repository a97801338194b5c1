"""What a policy sees of one moment: images and measurements brought to one time.

The only time alignment of the package. The live policy asks it, and so does the conversion of
recorded episodes; a frame of a dataset and the frame that the policy saw at that time are therefore
the same. No clock is read here.
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
"""Measurements farther apart are not interpolated: what the arm did between is unknown."""

Image = npt.NDArray[np.uint8]


class ObservationBuffer:
    """The recent past of every stream that a policy sees.

    Stamps are when something was true (an image: when it was captured), all of one clock. Of each
    stream they rise; a value whose stamp does not is ignored.

    Args:
        cameras: Their names.
        reference: The camera whose capture times observations are made for.
        skew_s: How far from an observation's time an image may have been captured.
        history_s: How far behind the newest value of a stream may be asked for.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        reference: str,
        skew_s: float = SKEW_S,
        history_s: float = 1.0,
    ) -> None:
        if reference not in cameras:
            raise ValueError(f"reference camera is {reference!r}; cameras are {', '.join(cameras)}")
        self.reference = reference
        self._images = {
            name: Track[Image](f"image of {name}", history_s, skew_s) for name in cameras
        }
        self._tool = Track[Pose]("tool pose", history_s, STATE_GAP_S)
        self._joints = Track[Array]("joint state", history_s, STATE_GAP_S)
        self._gripper = Track[float]("gripper closure", history_s, STATE_GAP_S)
        # an observation waits for each of these; of the gripper it takes what it has
        self._awaited = (*self._images.values(), self._tool, self._joints)

    def take_image(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Add an image, RGB of shape (H, W, 3). It is kept, not copied: do not write to it."""
        self._images[camera].take(stamp_ns, image)

    def take_tool(self, stamp_ns: int, tool: Pose) -> None:
        """Add a measured `base_from_tcp`."""
        self._tool.take(stamp_ns, tool)

    def take_joints(self, stamp_ns: int, joints: Array) -> None:
        """Add measured joint positions, of shape (J,) in [rad]."""
        self._joints.take(stamp_ns, joints)

    def take_gripper(self, stamp_ns: int, closure: float) -> None:
        """Add a measured closure, 0 open to 1 closed, stamped as it arrives."""
        self._gripper.take(stamp_ns, closure)

    @property
    def newest_ns(self) -> int:
        """Stamp of the newest reference image that every awaited stream has caught up with.

        0 if there is none. The newest observation is of that moment, unless a stream has a gap.
        """
        known_ns = min(self._newest_of_each_ns)
        captures_ns = self._images[self.reference].stamps_ns
        return next((stamp_ns for stamp_ns in reversed(captures_ns) if stamp_ns <= known_ns), 0)

    def newest(self) -> Observation | str:
        """Return the observation of `newest_ns`, or why there is none.

        How old is too old is for the caller to say, who has the clock.
        """
        captures_ns = self._images[self.reference].stamps_ns
        return self.at(self.newest_ns or (captures_ns or [0])[-1])

    def recent(self, count: int, step_ns: int) -> list[Observation] | str:
        """Return the newest observation and those before it, the newest last, or why not.

        Args:
            count: How many.
            step_ns: From one to the next.
        """
        newest = self.newest()
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
        """What the next observation waits for most: the stream whose newest sample is the oldest.

        In the words of its samples, as "image of wrist_cam".
        """
        newest_ns = self._newest_of_each_ns
        return self._awaited[newest_ns.index(min(newest_ns))].name

    @property
    def _newest_of_each_ns(self) -> list[int]:
        return [track.stamps_ns[-1] if track.stamps_ns else 0 for track in self._awaited]

    def at(self, stamp_ns: int) -> Observation | str:
        """Return the observation of one moment, or the reason in words why there is none.

        Images are those captured nearest to the moment, the earlier of two equally near. The tool
        pose moves on a line and turns the shorter way between the measurements around the moment;
        joints go linearly; nothing is extrapolated. The gripper, which is read seldom and stamped
        when that is done, is as it was last read: to wait for its next reading would make every
        plan up to 40 ms older. Asked again later, the answer is the same.

        Args:
            stamp_ns: The moment; of a policy's or a dataset's, a capture time of the reference.
        """
        images: dict[str, Image] = {}
        image_stamps_ns: dict[str, int] = {}
        for name, track in self._images.items():
            nearest = track.nearest(stamp_ns)
            if isinstance(nearest, str):
                return nearest
            image_stamps_ns[name], images[name] = nearest
        tool = self._tool.between(stamp_ns, pose_between)
        if isinstance(tool, str):
            return tool
        joints = self._joints.between(stamp_ns, array_between)
        if isinstance(joints, str):
            return joints
        gripper = self._gripper.before(stamp_ns)
        if isinstance(gripper, str):
            return gripper
        return Observation(stamp_ns, images, image_stamps_ns, tool, gripper, joints)


def pose_between(start: Pose, end: Pose, fraction: float) -> Pose:
    """Return the pose a fraction of the way: on a line, and turning the shorter way."""
    position = start.position + fraction * (end.position - start.position)
    return Pose(position, slerp(start.quaternion, end.quaternion, fraction))


def array_between(start: Array, end: Array, fraction: float) -> Array:
    """Return the array a fraction of the way, linearly."""
    return start + fraction * (end - start)
