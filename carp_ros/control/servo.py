"""The only path to the arm: turns every request into the next joint target, within all limits.

The caller owns the clock and the loop: it calls `step` once per period and sends the result.
Everything that moves the arm (a policy's chunk, an operator's twist, homing) is a `Motion`.
Whatever it wants, one tick changes the velocity by no more than the acceleration limits of joints
and tool allow. Without a motion the servo brakes along the path and then holds the commanded
joints, never the measured ones, which would let the arm sag or creep.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from carp_ros.control.kinematics import Kinematics
from carp_ros.control.motion import (
    ChunkMotion,
    Drive,
    JointMotion,
    Motion,
    Reference,
    TwistMotion,
)
from carp_ros.control.schedule import PosePath, Schedule
from carp_ros.errors import ChunkError
from carp_ros.geometry import pose_difference
from carp_ros.rig import LimitsConfig
from carp_ros.rig_sections import NO_LEAD, Lead
from carp_ros.types import Array, Chunk, Pose, Twist


class ServoMode(IntEnum):
    """The active motion of the servo."""

    HOLD = 0
    TWIST = 1
    CHUNK = 2
    JOINTS = 3
    GUIDE = 4
    """None of the servo's: a person moves the arm by hand."""


@dataclass(frozen=True, slots=True)
class Target:
    """The set-point for one tick.

    Attributes:
        joints: Of shape (J,) in [rad].
        gripper: 0 open to 1 closed.
        pose: `base_from_tcp` at `joints`.
        mode: The active motion.
        moving: Whether the reference is moving.
    """

    joints: Array
    gripper: float
    pose: Pose
    mode: ServoMode
    moving: bool


class Servo:
    """Turns motions into joint targets.

    Args:
        kinematics: Of the arm and its tool.
        limits: The rig's limits.
        period_s: Time between two `step` calls.
        blend_s: How long a new chunk fades in.
        joints: Initial joint positions, of shape (J,) in [rad].
        gripper: Initial gripper closure, 0 open to 1 closed.
        posture: Joint positions that a redundant arm is drawn to while its tool moves, of shape
            (J,) in [rad]; the middle of its joints' ranges if None.
        lead: How much earlier than planned a chunk's commands are sent.
    """

    def __init__(
        self,
        kinematics: Kinematics,
        limits: LimitsConfig,
        period_s: float,
        blend_s: float,
        joints: Array,
        gripper: float,
        posture: Array | None = None,
        lead: Lead = NO_LEAD,
    ) -> None:
        self._limits = limits
        self._drive = Drive(kinematics, limits, period_s, posture)
        self._blend_s = blend_s
        self._lead = lead
        self._moved_ns: int | None = None
        self.late_ns = 0
        """How much later than their own times the newest chunk's steps are due, when it begins."""
        self.seed(joints, gripper)

    def seed(self, joints: Array, gripper: float) -> None:
        """Drop any motion and hold at `joints`, on start and after a fault."""
        pose, jacobian = self._drive.kinematics.tcp_pose_and_jacobian(joints)
        still = np.zeros_like(joints)
        self._reference = Reference(joints.copy(), still, pose, np.zeros(6), jacobian)
        self._motion: Motion | None = None
        self._mode = ServoMode.HOLD
        self._gripper = gripper

    @property
    def mode(self) -> ServoMode:
        """The active motion."""
        return self._mode

    @property
    def pose(self) -> Pose:
        """The commanded `base_from_tcp`."""
        return self._reference.pose

    @property
    def gripper(self) -> float:
        """The commanded closure, 0 open to 1 closed."""
        return self._gripper

    def stop(self) -> None:
        """Brake along the path as fast as the limits allow, then hold."""
        self._motion, self._mode = None, ServoMode.HOLD

    def follow_twist(self, twist: Twist, gripper: float, now_ns: int) -> None:
        """Move the tool with `twist` until the next call, for at most `twist_timeout_s`."""
        self._motion = TwistMotion(
            self._drive, twist, gripper, now_ns, self._limits.twist_timeout_s
        )
        self._mode = ServoMode.TWIST

    def follow_chunk(self, chunk: Chunk, now_ns: int) -> None:
        """Follow `chunk` in place of the current motion.

        Steps that are past are skipped, unless the arm has stood still since the observation: then
        nothing was missed, and the plan begins at its beginning.

        Raises:
            ChunkError: If its observation is from the future or too old, all its steps are past,
                it leaves the workspace, or it starts too far from the tool. The current motion then
                continues.
        """
        clock = self._drive.clock
        # plan time has advanced with the robot's speed since the observation
        lag_ns = clock.lag_at(chunk.stamp_ns)
        plan_ns = clock.plan_ns(now_ns, lag_ns)
        self._require_current(chunk, now_ns, plan_ns)
        if self._motion is None and (self._moved_ns is None or self._moved_ns < chunk.stamp_ns):
            waited_ns = max(0, plan_ns - int(chunk.times_ns[0]))
            lag_ns, plan_ns = lag_ns - waited_ns, plan_ns - waited_ns
        self._require_near(chunk, plan_ns)
        self.late_ns = now_ns - plan_ns
        here = self._reference
        # measured in plan time, a slowed tool moves as fast as at full speed
        rate = here.twist / max(clock.scaling, _LEAST_SCALING)
        rate = rate if clock.scaling == 1.0 else self._drive.tool_limits.clamp_speed(rate)
        before_ns = plan_ns - round(self._drive.period_s * 1e9)
        twist = Twist(rate[:3], rate[3:])
        schedule = Schedule(chunk, before_ns, here.pose, twist, self._blend_s, self._lead)
        timeout_s = self._limits.chunk_timeout_s
        self._motion = ChunkMotion(self._drive, schedule, before_ns, lag_ns, timeout_s)
        self._mode = ServoMode.CHUNK

    def move_to(self, joints: Array) -> None:
        """Move all joints in step to `joints` of shape (J,) in [rad]."""
        self._motion, self._mode = JointMotion(self._drive, joints), ServoMode.JOINTS

    def step(self, now_ns: int, scaling: float = 1.0) -> Target:
        """Return the command for `now_ns`.

        Args:
            now_ns: The time.
            scaling: The share of commanded speed that the robot executes now, 0 to 1; motions
                follow the same path slower by this factor.
        """
        self._drive.clock.advance(now_ns, scaling)
        here = self._reference
        wanted = self._motion.velocities(here, now_ns) if self._motion else None
        if self._motion is None or wanted is None:
            self._motion, self._mode = None, ServoMode.HOLD
            wanted = np.zeros_like(here.velocities)
        else:
            closure = self._motion.gripper(now_ns)
            self._gripper = self._gripper if closure is None else closure
        velocities = self._one_tick_towards(wanted)
        if velocities.any():
            self._moved_ns = now_ns
            self._advance(velocities)
        elif here.velocities.any():
            self._reference = Reference(
                here.joints, velocities, here.pose, np.zeros(6), here.jacobian
            )
        now = self._reference
        return Target(now.joints, self._gripper, now.pose, self._mode, bool(velocities.any()))

    def _one_tick_towards(self, wanted: Array) -> Array:
        """Return the velocities nearest to `wanted` that can be reached in one tick.

        All joints change by the same share of what they want, which keeps the tool on its path,
        but for one that would then no longer stop before its stop: it leaves the path first.
        """
        here = self._reference
        change = wanted - here.velocities
        unchanged = here.jacobian @ here.velocities - here.twist
        share = min(
            self._drive.joints.reachable(change),
            self._drive.tool_limits.reachable(unchanged, here.jacobian @ change),
        )
        reached = here.velocities + share * change
        if share == 1.0:
            return reached
        return self._drive.joints.braked(reached, here.velocities, here.joints)

    def _advance(self, velocities: Array) -> None:
        """Advance the reference by one tick."""
        here, period_s = self._reference, self._drive.period_s
        joints = here.joints + velocities * period_s
        pose = self._drive.kinematics.tcp_pose(joints)
        twist = pose_difference(here.pose, pose) / period_s
        middle = joints + velocities * (0.5 * period_s)
        jacobian = self._drive.kinematics.jacobian(middle)
        self._reference = Reference(joints, velocities, pose, twist, jacobian)

    def _require_current(self, chunk: Chunk, now_ns: int, plan_ns: int) -> None:
        """Refuse a chunk from the future, or of the past, at plan time `plan_ns`."""
        limits = self._limits
        age_s = (now_ns - chunk.stamp_ns) * 1e-9
        if age_s < -_CLOCK_TOLERANCE_S:
            raise ChunkError(
                f"chunk is from an observation {-age_s:.3f} s in the future; expected the past:"
                " synchronise the clocks"
            )
        if age_s > limits.chunk_timeout_s:
            raise ChunkError(
                f"chunk is from an observation {age_s:.3f} s old; expected at most"
                f" {limits.chunk_timeout_s} s (limits.chunk_timeout_s)"
            )
        due_ns = plan_ns + self._lead.action_ns
        if chunk.times_ns[-1] <= due_ns:
            raise ChunkError(
                f"chunk ended {(due_ns - int(chunk.times_ns[-1])) * 1e-9:.3f} s ago; expected at"
                " least one step to come"
            )

    def _require_near(self, chunk: Chunk, plan_ns: int) -> None:
        """Refuse a chunk that leaves the workspace, or begins far from the tool."""
        limits, due_ns = self._limits, plan_ns + self._lead.action_ns
        to_come = chunk.positions[chunk.times_ns > due_ns]
        inside = np.clip(to_come, limits.workspace_min_m, limits.workspace_max_m)
        outside_m = np.linalg.norm(to_come - inside, axis=1)
        if outside_m.max() > limits.max_jump_m:
            far = np.round(to_come[int(np.argmax(outside_m))], 3).tolist()
            raise ChunkError(
                f"chunk goes to {far} m, {outside_m.max():.3f} m outside the workspace"
                f" {list(limits.workspace_min_m)} to {list(limits.workspace_max_m)} m; expected"
                f" at most {limits.max_jump_m} m outside, where it slides along the wall"
            )
        first, _ = PosePath(chunk).sample(due_ns)
        jump = pose_difference(self._reference.pose, first)
        jump_m, jump_rad = float(np.linalg.norm(jump[:3])), float(np.linalg.norm(jump[3:]))
        if jump_m > limits.max_jump_m or jump_rad > limits.max_jump_rad:
            raise ChunkError(
                f"chunk begins {jump_m:.3f} m and {jump_rad:.2f} rad from the tool; expected within"
                f" {limits.max_jump_m} m and {limits.max_jump_rad} rad"
            )


_CLOCK_TOLERANCE_S = 0.005
_LEAST_SCALING = 0.1  # below it the tool hardly moves, so a new plan fades in from rest
