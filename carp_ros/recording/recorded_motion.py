"""A recorded episode's motion: as chunks to replay, and to compare with an executed path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carp_ros.geometry import pose_difference, rotation_between, slerp
from carp_ros.recording.bag import read_messages
from carp_ros.recording.message_reader import read_pose
from carp_ros.recording.messages import decode_number
from carp_ros.types import Array, Chunk, Pose

_STEP_NS = 20_000_000
_AROUND_NS = 300_000_000  # longer than any measurement is delayed
_HORIZON_NS = 1_000_000_000
_APPROACH_M_S, _APPROACH_RAD_S = 0.1, 0.4
_APPROACH_STEPS = 100

Stamps = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PoseTrack:
    """A frame's poses over time: `times_ns` rising, of shape (N,), and N poses."""

    times_ns: Stamps
    poses: Sequence[Pose]

    def at(self, time_ns: int) -> Pose:
        """Interpolate the pose at a time; outside the track, return its first or last pose."""
        after = int(np.searchsorted(self.times_ns, time_ns))
        if after == 0:
            return self.poses[0]
        if after == len(self.poses):
            return self.poses[-1]
        before_ns, after_ns = self.times_ns[after - 1 : after + 1].tolist()
        share = (time_ns - before_ns) / (after_ns - before_ns)
        start, end = self.poses[after - 1], self.poses[after]
        position = (1.0 - share) * start.position + share * end.position
        return Pose(position, slerp(start.quaternion, end.quaternion, share))


@dataclass(frozen=True)
class PathDeviation:
    """The deviation of one path from another.

    Attributes:
        mean_mm, max_mm: Distance at equal times; includes the tool's motion while a busy machine
            delays a measurement.
        mean_deg, max_deg: Angle at equal times.
        off_path_mm: Largest distance from the other path, regardless of time.
    """

    mean_mm: float
    max_mm: float
    mean_deg: float
    max_deg: float
    off_path_mm: float


@dataclass(frozen=True)
class RecordedMotion:
    """The commanded and the measured motion of an episode.

    Attributes:
        target_poses: Commanded tool poses.
        gripper: Commanded closures at the times of `target`, of shape (N,).
        tcp_poses: Measured tool poses.
    """

    target_poses: PoseTrack
    gripper: Array
    tcp_poses: PoseTrack

    @property
    def start_ns(self) -> int:
        """When the first pose was commanded."""
        return int(self.target_poses.times_ns[0])

    @property
    def end_ns(self) -> int:
        """When the last pose was commanded."""
        return int(self.target_poses.times_ns[-1])

    def chunk(self, now_ns: int, later_ns: int) -> Chunk:
        """Return the next second of the episode as a chunk, if it is replayed `later_ns` later."""
        times_ns = self.target_poses.times_ns + later_ns
        first = max(0, int(np.searchsorted(times_ns, now_ns)) - 1)
        last = max(first + 1, int(np.searchsorted(times_ns, now_ns + _HORIZON_NS)))
        poses = self.target_poses.poses[first:last]
        return Chunk(
            stamp_ns=now_ns,
            times_ns=times_ns[first:last],
            positions=np.stack([pose.position for pose in poses]),
            quaternions=np.stack([pose.quaternion for pose in poses]),
            gripper=self.gripper[first:last],
        )

    def deviation(self, executed: PoseTrack, later_ns: int) -> PathDeviation:
        """Compare an executed path with the recorded one, which is `later_ns` earlier.

        Raises:
            ValueError: If no pose was measured during the replay.
        """
        within = (executed.times_ns >= self.start_ns + later_ns) & (
            executed.times_ns <= self.end_ns + later_ns
        )
        if not within.any():
            raise ValueError("no tool pose arrived during the replay; is control_node running?")
        places = np.flatnonzero(within).tolist()
        steps = np.array(
            [
                pose_difference(
                    self.tcp_poses.at(int(executed.times_ns[i]) - later_ns), executed.poses[i]
                )
                for i in places
            ]
        )
        off_path_mm = max(self._off_path_mm(executed, i, later_ns) for i in places)
        distances_mm = np.linalg.norm(steps[:, :3], axis=1) * 1e3
        angles_deg = np.rad2deg(np.linalg.norm(steps[:, 3:], axis=1))
        return PathDeviation(
            float(distances_mm.mean()),
            float(distances_mm.max()),
            float(angles_deg.mean()),
            float(angles_deg.max()),
            off_path_mm,
        )

    def _off_path_mm(self, executed: PoseTrack, i: int, later_ns: int) -> float:
        """Return the distance of an executed position from the recorded path around its time."""
        at_ns = int(executed.times_ns[i]) - later_ns
        bounds_ns = (at_ns - _AROUND_NS, at_ns + _AROUND_NS)
        first, last = np.searchsorted(self.tcp_poses.times_ns, bounds_ns).tolist()
        poses = self.tcp_poses.poses[max(0, first - 1) : last + 1]
        path = np.array([pose.position for pose in poses])
        ways = np.diff(path, axis=0, append=path[-1:])
        there = executed.poses[i].position - path
        lengths = np.maximum((ways**2).sum(axis=1), 1e-12)
        shares = np.clip((there * ways).sum(axis=1) / lengths, 0.0, 1.0)
        return float(np.linalg.norm(there - shares[:, None] * ways, axis=1).min() * 1e3)


def read_motion(folder: Path, frame: str) -> RecordedMotion:
    """Read the motion of a recorded episode.

    Args:
        folder: The episode's folder.
        frame: The frame in which the poses must be given.

    Raises:
        ValueError: If the folder is no episode, or lacks commanded or measured poses.
        MessageError: If a message can't be read, or is given in another frame.
    """
    poses: dict[str, list[tuple[int, Pose]]] = {"/target_pose": [], "/tool_pose": []}
    closures: list[tuple[int, float]] = []
    for topic, stamp_ns, cdr in read_messages(folder):
        if topic in poses:
            poses[topic].append((stamp_ns, read_pose(cdr, frame)))
        elif topic == "/gripper_command":
            closures.append((stamp_ns, decode_number(cdr)))
    for topic, found in poses.items():
        if len(found) < 2:
            raise ValueError(f"{folder}: {len(found)} messages on {topic}; expected the arm's path")
    if not closures:
        raise ValueError(f"{folder}: no message on /gripper_command; expected the gripper's path")
    target = _track(poses["/target_pose"], _STEP_NS)
    closures.sort()
    closure_times_ns = np.array([stamp_ns for stamp_ns, _ in closures])
    newest = np.searchsorted(closure_times_ns, target.times_ns, side="right") - 1
    gripper = np.array([closure for _, closure in closures])[np.maximum(newest, 0)]
    return RecordedMotion(target, np.clip(gripper, 0.0, 1.0), _track(poses["/tool_pose"], 1))


def approach(start: Pose, end: Pose, gripper: float, now_ns: int) -> Chunk:
    """Return a slow straight-line chunk from `start` to `end` that starts now and ends at rest."""
    gap_m = float(np.linalg.norm(end.position - start.position))
    gap_rad = float(np.linalg.norm(rotation_between(start.quaternion, end.quaternion)))
    # a cosine profile's peak speed is pi/2 times its mean
    seconds = max(0.5, np.pi / 2 * gap_m / _APPROACH_M_S, np.pi / 2 * gap_rad / _APPROACH_RAD_S)
    shares = 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, _APPROACH_STEPS))
    times_s = np.linspace(0.0, seconds, _APPROACH_STEPS)
    return Chunk(
        stamp_ns=now_ns,
        times_ns=now_ns + np.round(times_s * 1e9).astype(np.int64),
        positions=start.position + shares[:, None] * (end.position - start.position),
        quaternions=np.stack([slerp(start.quaternion, end.quaternion, s) for s in shares.tolist()]),
        gripper=np.full(_APPROACH_STEPS, gripper),
    )


def _track(stamped: list[tuple[int, Pose]], step_ns: int) -> PoseTrack:
    """Return poses sorted by stamp, at least `step_ns` apart."""
    kept: list[tuple[int, Pose]] = []
    for stamp_ns, pose in sorted(stamped, key=lambda item: item[0]):
        if not kept or stamp_ns - kept[-1][0] >= step_ns:
            kept.append((stamp_ns, pose))
    return PoseTrack(np.array([t for t, _ in kept], dtype=np.int64), [pose for _, pose in kept])
