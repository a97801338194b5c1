"""A short path of the tool, with a time for each of its poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carp_ros.geometry import quaternion_from_rotvec, quaternion_multiply
from carp_ros.types import Array, Chunk, Pose

_STEP_S, _STEPS = 0.1, 13
_PEAK = 1.5  # of the smooth step's speed, relative to its mean


@dataclass(frozen=True)
class TimedPath:
    """A straight way, or a turn on the spot, that begins and ends at rest.

    Attributes:
        start: Where it begins.
        shift: From there to its end in the base frame, of shape (3,) in [m].
        turn: Rotation vector of the turn in the base frame, of shape (3,) in [rad]; also more than
            a half turn.
        seconds: How long it takes.
    """

    start: Pose
    shift: Array
    turn: Array
    seconds: float

    @classmethod
    def straight(cls, start: Pose, shift: Array, peak_m_s: float) -> TimedPath:
        """Return a straight way whose highest speed is `peak_m_s`."""
        seconds = _PEAK * float(np.linalg.norm(shift)) / peak_m_s
        return cls(start, shift, np.zeros(3), seconds)

    @classmethod
    def turned(cls, start: Pose, turn: Array, peak_rad_s: float) -> TimedPath:
        """Return a turn on the spot whose highest speed is `peak_rad_s`."""
        seconds = _PEAK * float(np.linalg.norm(turn)) / peak_rad_s
        return cls(start, np.zeros(3), turn, seconds)

    @classmethod
    def still(cls, start: Pose, seconds: float) -> TimedPath:
        """Return a path that stays where it is."""
        return cls(start, np.zeros(3), np.zeros(3), seconds)

    def pose_at(self, seconds: float) -> Pose:
        """Return the pose at a time from the path's beginning; before and after it, its ends."""
        share = min(max(seconds / self.seconds, 0.0), 1.0) if self.seconds > 0.0 else 1.0
        share = share * share * (3.0 - 2.0 * share)
        turn = quaternion_from_rotvec(share * self.turn)
        return Pose(
            self.start.position + share * self.shift,
            quaternion_multiply(turn, self.start.quaternion),
        )

    def chunk(self, now_ns: int, begun_ns: int, gripper: float) -> Chunk:
        """Return the next second of the path as a plan, if the path began at `begun_ns`.

        Its steps are on one grid of times for the whole path, and two of them before now: so one
        plan goes on exactly as the one before.
        """
        step_ns = round(_STEP_S * 1e9)
        first = (now_ns - begun_ns) // step_ns - 1
        times_ns = begun_ns + (first + np.arange(_STEPS, dtype=np.int64)) * step_ns
        poses = [self.pose_at((int(t) - begun_ns) * 1e-9) for t in times_ns]
        quaternions = np.stack([pose.quaternion for pose in poses])
        quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
        return Chunk(
            stamp_ns=now_ns,
            times_ns=times_ns,
            positions=np.stack([pose.position for pose in poses]),
            quaternions=quaternions,
            gripper=np.full(_STEPS, gripper),
        )
