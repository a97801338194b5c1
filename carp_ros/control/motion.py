"""The servo's motions: following a twist, a chunk, or a straight line in joint space.

A motion takes the current reference and returns the joint velocities it wants next; the servo
decides how much of that change is allowed in one tick.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from carp_ros.control.ik import DifferentialIk
from carp_ros.control.kinematics import Kinematics
from carp_ros.control.limits import JointLimits, ToolLimits
from carp_ros.control.plan_clock import PlanClock
from carp_ros.control.posture import Posture
from carp_ros.control.schedule import Schedule
from carp_ros.geometry import pose_difference
from carp_ros.rig import LimitsConfig
from carp_ros.types import Array, Pose, Twist


@dataclass(frozen=True, slots=True)
class Reference:
    """The commanded state: joints, velocities and the resulting tool motion.

    Attributes:
        joints: Of shape (J,) in [rad].
        velocities: Of shape (J,) in [rad/s].
        pose: `base_from_tcp` at `joints`.
        twist: The tool's velocity over the last tick, of shape (6,) in [m/s] and [rad/s].
        jacobian: Of shape (6, J), evaluated at the middle of the coming tick, so that a straight
            line stays straight to second order.
    """

    joints: Array
    velocities: Array
    pose: Pose
    twist: Array
    jacobian: Array


class Motion(Protocol):
    """One kind of motion that the servo can execute."""

    def velocities(self, reference: Reference, now_ns: int) -> Array | None:
        """Return the joint velocities wanted now, of shape (J,) in [rad/s]; None once done."""
        ...

    def gripper(self, now_ns: int) -> float | None:
        """Return the gripper closure wanted now, 0 to 1; None to leave it unchanged."""
        ...


class Drive:
    """The limits and the inverse kinematics that every motion goes through.

    Args:
        kinematics: Of the arm and its tool.
        config: The rig's limits.
        period_s: Time between two ticks.
        posture: Joint positions that a redundant arm is drawn to, of shape (J,) in [rad]; the
            middle of its joints' ranges if None. An arm of six joints has no choice.

    Attributes:
        clock: Tracks the robot's speed scaling; motions are slowed by the same factor.
    """

    def __init__(
        self,
        kinematics: Kinematics,
        config: LimitsConfig,
        period_s: float,
        posture: Array | None = None,
    ) -> None:
        self.kinematics = kinematics
        self.tool_limits = ToolLimits(config, period_s)
        self.joints = JointLimits(config, kinematics.robot, period_s)
        self.period_s = period_s
        self.clock = PlanClock()
        self._ik = DifferentialIk(kinematics, config)
        rest = 0.5 * (kinematics.lower_rad + kinematics.upper_rad) if posture is None else posture
        self._posture = Posture(kinematics.robot, self.joints, rest, period_s)

    def follow(self, wanted: Array, reference: Reference) -> Array:
        """Return joint velocities for a wanted tool velocity of shape (6,), within all limits.

        `wanted` assumes a robot at full speed; the result is slowed by the robot's speed scaling.
        """
        scaling, last = self.clock.scaling, reference.twist
        if scaling < LEAST_SCALING:
            return np.zeros_like(reference.velocities)
        if scaling < 1.0:
            last = self.tool_limits.clamp_speed(last / scaling)
        allowed = self.tool_limits.limit(wanted, last, reference.pose.position)
        step = self._ik.solve(allowed, reference.joints, reference.jacobian)
        velocities = step.velocities
        if step.self_motion is not None:
            velocities = self._posture.add(
                velocities, step.self_motion, reference.joints, reference.velocities, wanted
            )
        velocities = self.joints.slow(velocities, reference.joints)
        return velocities if scaling == 1.0 else velocities * scaling


class TwistMotion:
    """Follows a twist until it times out."""

    def __init__(
        self, drive: Drive, twist: Twist, gripper: float, now_ns: int, timeout_s: float
    ) -> None:
        self._drive = drive
        self._wanted = np.concatenate([twist.linear, twist.angular])
        self._gripper = gripper
        self._end_ns = now_ns + round(timeout_s * 1e9)

    def velocities(self, reference: Reference, now_ns: int) -> Array | None:
        """Return the joint velocities for the twist."""
        if now_ns > self._end_ns:
            return None
        return self._drive.follow(self._wanted, reference)

    def gripper(self, now_ns: int) -> float | None:
        """Return the closure that came with the twist."""
        return self._gripper


class ChunkMotion:
    """Follows a schedule exactly where the limits allow, and catches up afterwards where not.

    Args:
        drive: Limits and inverse kinematics.
        schedule: The plan, in plan time.
        start_ns: When it begins, in plan time.
        lag_ns: Lag of the plan clock when this plan was made.
        timeout_s: How long its last pose is held.
    """

    def __init__(
        self, drive: Drive, schedule: Schedule, start_ns: int, lag_ns: int, timeout_s: float
    ) -> None:
        self._drive = drive
        self._schedule = schedule
        self._lag_ns = lag_ns
        self._end_ns = schedule.end_ns + round(timeout_s * 1e9)
        self._due, self._closure = self._sample(start_ns)

    def velocities(self, reference: Reference, now_ns: int) -> Array | None:
        """Return the velocities that carry the reference to the pose due now."""
        clock = self._drive.clock
        plan_ns = clock.plan_ns(now_ns, self._lag_ns)
        if plan_ns > self._end_ns or now_ns > self._end_ns + _MOST_STRETCH_NS:
            return None
        before = self._due
        self._due, self._closure = self._sample(plan_ns)
        passed_s = self._drive.period_s * max(clock.scaling, LEAST_SCALING)
        feed_forward = pose_difference(before, self._due) / passed_s
        behind = pose_difference(reference.pose, before)
        return self._drive.follow(
            feed_forward + self._drive.tool_limits.approach(behind), reference
        )

    def gripper(self, now_ns: int) -> float | None:
        """Return the closure due now."""
        return self._closure

    def _sample(self, now_ns: int) -> tuple[Pose, float]:
        pose, closure = self._schedule.sample(now_ns)
        return Pose(self._drive.tool_limits.inside(pose.position), pose.quaternion), closure


class JointMotion:
    """Moves all joints in step along a straight line to a goal."""

    def __init__(self, drive: Drive, goal: Array) -> None:
        self._drive = drive
        self._goal = goal

    def velocities(self, reference: Reference, now_ns: int) -> Array | None:
        """Return the velocities towards the goal; None once there."""
        error = self._goal - reference.joints
        distance = float(np.abs(error).max())
        if distance < 1e-4 and not reference.velocities.any():
            return None
        # largest deceleration of the fastest joint: usually the tool's limits are the tighter ones
        per_rad = reference.jacobian @ (error / max(distance, 1e-9))
        most_rad_s2 = self._drive.tool_limits.braking(per_rad)
        wanted = self._drive.joints.approach(error, most_rad_s2)
        wanted = self._drive.joints.slow(wanted, reference.joints)
        wanted = wanted / max(1.0, self._drive.tool_limits.speed_ratio(reference.jacobian @ wanted))
        return wanted * self._drive.clock.scaling

    def gripper(self, now_ns: int) -> float | None:
        """Leave the gripper as it is."""
        return None


LEAST_SCALING = 0.01  # below this the robot is taken to stand still
# A plan describes what was observed. A slowed or paused robot follows it at most this long beyond
# its end, so that it never resumes an old plan when the pause ends.
_MOST_STRETCH_NS = 2_000_000_000
