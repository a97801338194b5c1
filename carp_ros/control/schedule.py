"""Interpolates a chunk: which pose is due at which time.

A chunk's steps carry absolute times, so steps already past when the chunk arrives are skipped, not
replayed. Between steps the path is a cubic Hermite (Catmull-Rom) curve that ends at rest. Where a
new chunk differs from the tool's current position and velocity, the difference fades out, so that
switching plans never causes a jump.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carp_ros.geometry import (
    matrix_from_quaternion,
    pose_difference,
    quaternion_from_rotvec,
    quaternion_multiply,
    rotation_between,
)
from carp_ros.rig_sections import NO_LEAD, Lead
from carp_ros.types import Array, Chunk, Pose, Twist


@dataclass(frozen=True, slots=True)
class _Cubic:
    """Cubics that are 0 at u=0: coefficients of u, u^2 and u^3, of shape (6,) or (N, 6)."""

    rate: Array
    square: Array
    cube: Array

    @classmethod
    def of(cls, rise: Array, start_rate: Array, end_rate: Array) -> _Cubic:
        """Return the cubics that reach `rise` at u=1, with the given derivatives at both ends."""
        square = 3.0 * rise - 2.0 * start_rate - end_rate
        return cls(start_rate, square, start_rate + end_rate - 2.0 * rise)

    def row(self, i: int) -> _Cubic:
        """Return the i-th cubic of several."""
        return _Cubic(self.rate[i], self.square[i], self.cube[i])

    def at(self, u: float) -> Array:
        """Return the values at `u`."""
        return u * (self.rate + u * (self.square + u * self.cube))


class PosePath:
    """A smooth path through a chunk's poses, constant before the first and after the last step."""

    def __init__(self, chunk: Chunk) -> None:
        self.start_ns = int(chunk.times_ns[0])
        self.end_ns = int(chunk.times_ns[-1])
        self._times_s = ((chunk.times_ns - self.start_ns) * 1e-9).astype(np.float64)
        self._positions = chunk.positions
        self._quaternions = chunk.quaternions / np.linalg.norm(
            chunk.quaternions, axis=1, keepdims=True
        )
        self._gripper = chunk.gripper
        pairs = zip(self._quaternions[:-1], self._quaternions[1:])
        turns = np.array([rotation_between(a, b) for a, b in pairs]).reshape(-1, 3)  # (N-1, 3)
        durations_s: Array = np.diff(self._times_s).astype(np.float64)[:, None]
        linear = _tangents(
            np.diff(chunk.positions, axis=0) / durations_s, durations_s
        )  # (N, 3) [m/s]
        angular = _tangents(turns / durations_s, durations_s)  # (N, 3) [rad/s]
        # derivative by u (0 to 1 over each segment) of the rotvec from its first pose, (N-1, 3)
        turn_end_rates = _rotvec_rates(turns, durations_s * angular[1:])
        starts = np.hstack([durations_s * linear[:-1], durations_s * angular[:-1]])
        ends = np.hstack([durations_s * linear[1:], turn_end_rates])
        rises = np.hstack([np.diff(chunk.positions, axis=0), turns])
        self._cubics = _Cubic.of(rises, starts, ends)

    def sample(self, now_ns: int) -> tuple[Pose, float]:
        """Return the pose and the gripper closure due at `now_ns`."""
        t_s = (now_ns - self.start_ns) * 1e-9
        last = len(self._times_s) - 1
        if t_s <= 0.0 or last == 0:
            return Pose(self._positions[0], self._quaternions[0]), float(self._gripper[0])
        if now_ns >= self.end_ns:
            return Pose(self._positions[last], self._quaternions[last]), float(self._gripper[last])
        i = int(np.searchsorted(self._times_s, t_s, side="right")) - 1
        duration_s = float(self._times_s[i + 1] - self._times_s[i])
        u = (t_s - float(self._times_s[i])) / duration_s
        moved = self._cubics.row(i).at(u)
        turn = quaternion_from_rotvec(moved[3:])
        position = self._positions[i] + moved[:3]
        quaternion = quaternion_multiply(turn, self._quaternions[i])
        gripper = (1.0 - u) * float(self._gripper[i]) + u * float(self._gripper[i + 1])
        return Pose(position, quaternion), gripper


@dataclass(frozen=True)
class _Fade:
    """A fading offset from the plan: `offset` at `start_ns`, zero after `over_s`.

    Offsets have shape (6,): position, then rotation vector, both in the base frame.
    """

    start_ns: int
    over_s: float
    offset: Array
    cubic: _Cubic

    def sample(self, now_ns: int) -> Array | None:
        """Return the offset at `now_ns`, or None once it has faded out."""
        u = (now_ns - self.start_ns) * 1e-9 / self.over_s
        if u >= 1.0:
            return None
        return self.offset + self.cubic.at(u)


class Schedule:
    """The plan being executed: a chunk's path plus a fading offset from the previous motion.

    Args:
        chunk: The plan.
        now_ns: Time of the switch to this plan.
        pose: The tool's pose at that time.
        twist: The tool's velocity at that time.
        over_s: Length of the fade in [s].
        lead: How much earlier than planned commands are due.
    """

    def __init__(
        self,
        chunk: Chunk,
        now_ns: int,
        pose: Pose,
        twist: Twist,
        over_s: float,
        lead: Lead = NO_LEAD,
    ) -> None:
        self._path = PosePath(chunk)
        self._lead = lead
        self.end_ns = self._path.end_ns - min(lead.action_ns, lead.gripper_ns)
        due = self._due(now_ns)
        soon = self._due(now_ns + _PROBE_NS)
        due_rate = pose_difference(due, soon) / (_PROBE_NS * 1e-9)
        tool_rate = np.concatenate([twist.linear, twist.angular])
        offset = pose_difference(due, pose)
        # the offset also rotates the plan's own angular velocity
        due_rate[3:] = matrix_from_quaternion(quaternion_from_rotvec(offset[3:])) @ due_rate[3:]
        rate = tool_rate - due_rate
        rate[3:] = _rotvec_rates(offset[None, 3:], rate[None, 3:])[0]
        over_s = max(over_s, 1e-3)
        cubic = _Cubic.of(-offset, over_s * rate, np.zeros(6))
        self._fade = _Fade(now_ns, over_s, offset, cubic)

    def sample(self, now_ns: int) -> tuple[Pose, float]:
        """Return the pose and the gripper closure due at `now_ns`."""
        due, gripper = self._path.sample(now_ns + self._lead.action_ns)
        if self._lead.gripper_ns != self._lead.action_ns:
            _, gripper = self._path.sample(now_ns + self._lead.gripper_ns)
        offset = self._fade.sample(now_ns)
        if offset is None:
            return due, gripper
        turn = quaternion_from_rotvec(offset[3:])
        return Pose(due.position + offset[:3], quaternion_multiply(turn, due.quaternion)), gripper

    def _due(self, now_ns: int) -> Pose:
        pose, _ = self._path.sample(now_ns + self._lead.action_ns)
        return pose


_PROBE_NS = 1_000


def _tangents(slopes: Array, durations_s: Array) -> Array:
    """Return the velocity at each waypoint, of shape (N, 3), from the segments', (N-1, 3).

    At an inner waypoint it is that of the parabola through the waypoint and its neighbours
    (Catmull-Rom for uneven times): a path of constant acceleration is reproduced exactly, and a
    waypoint affects at most two segments on either side. At the start it is the first segment's
    velocity; at the end it is zero.
    """
    if len(slopes) == 0:
        return np.zeros((1, 3))
    before_s, after_s = durations_s[:-1], durations_s[1:]
    inner = (slopes[:-1] * after_s + slopes[1:] * before_s) / (before_s + after_s)
    return np.concatenate([slopes[:1], inner, np.zeros((1, 3))])


def _rotvec_rates(rotvecs: Array, angular: Array) -> Array:
    """Return d(rotvec)/dt for angular velocities in the base frame, both of shape (N, 3).

    Applies the inverse left Jacobian of SO(3); rotation vectors must be below a full turn.
    """
    square = np.sum(rotvecs * rotvecs, axis=1, keepdims=True)
    half = 0.5 * np.sqrt(np.maximum(square, 1e-6))
    # (1 - half cot half) / angle^2, replaced by its limit where the difference loses precision
    gain = np.where(square > 1e-6, (1.0 - half / np.tan(half)) / (4.0 * half * half), 1.0 / 12.0)
    first = np.cross(rotvecs, angular)
    return angular - first / 2.0 + gain * np.cross(rotvecs, first)
