"""One tick of the servo process, independent of clock, robot and shared memory.

Combines the guard (may it move?) with the servo (how does it move?) and keeps the reported state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from carp_ros.control.command import Command, ServoState
from carp_ros.control.guard import Guard
from carp_ros.control.kinematics import Kinematics
from carp_ros.control.servo import Servo, ServoMode, Target
from carp_ros.errors import ChunkError
from carp_ros.geometry import pose_difference
from carp_ros.reports.control import Fault
from carp_ros.rig import LimitsConfig
from carp_ros.servo.hand_guiding import Hand, HandGuiding, is_at_rest, why_not_free
from carp_ros.types import ArmState, Array, Chunk, Pose


@dataclass
class _Counts:
    """Counters for the diagnostics."""

    ticks: int = 0
    accepted: int = 0
    chunk_stamp_ns: int = 0
    chunk_begun_ns: int = 0
    chunk_late_ns: int = 0
    refused: int = 0
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """Result of a tick.

    Attributes:
        target: To be sent to the arm; None: send nothing.
        tcp_pose: Measured.
        hand: What to ask of the arm if there is no target.
    """

    target: Target | None
    tcp_pose: Pose
    hand: Hand = Hand.NONE


@dataclass
class _Yield:
    """Progress of moving the commanded joints to an arm that could not follow them."""

    under_way: bool = False
    done: bool = False
    left: int = 1  # number of such moves still allowed
    asked_ns: int | None = None  # when the reset request was first seen
    waited_s: float = 0.0  # time since then


@dataclass
class ServoLoop:
    """Turns robot state and commands into joint targets, fail-closed.

    Attributes:
        kinematics: Of the arm and its tool.
        servo: Seeded at the measured joints.
        guard: Decides whether anything may move; its limits define a tracking fault.
        home: Goal of the home motion, joint positions of shape (J,) in [rad].
    """

    kinematics: Kinematics
    servo: Servo
    guard: Guard
    home: Array
    _counts: _Counts = field(default_factory=_Counts)
    _target: Target | None = None
    _twist_ns: int = 0
    _homing: int = -1
    _sends: bool = False  # whether the arm executes the targets that `tick` returns
    _guiding: HandGuiding = field(default_factory=HandGuiding)
    _yield: _Yield | None = None  # set while a fault is latched and the arm executes targets

    @property
    def moving(self) -> bool:
        """Whether the commanded joints are moving, or a person may move the arm."""
        return self._guiding.active or (self._target is not None and self._target.moving)

    def tick(
        self, now_ns: int, arm: ArmState, command: Command | None, chunk: Chunk | None
    ) -> Tick:
        """Return what to send at `now_ns`.

        Args:
            now_ns: The time.
            arm: Newest robot state.
            command: Newest command; None before the first.
            chunk: A chunk received since the last tick; None if there was none.
        """
        tcp_pose = self.kinematics.tcp_pose(arm.joints)
        target_pose = self._target.pose if self._target else tcp_pose
        self._counts.ticks += 1
        self.guard.watch(now_ns, arm, tcp_pose, target_pose, command)
        hand = self._guide(now_ns, arm, command)
        if hand is not Hand.NONE:
            return Tick(None, tcp_pose, hand)
        if command is not None and self.guard.may_move(command):
            self._obey(command, chunk, now_ns)
        elif self.servo.mode is not ServoMode.HOLD and not (self._yield and self._yield.under_way):
            self.servo.stop()
        self._sends = arm.ready and arm.safety.may_move
        if self.guard.fault is Fault.NONE:
            self._yield = None
        elif self._sends:
            self._yield_to(now_ns, arm, command)
        else:
            # the arm executes no targets now: hold at its measured joints
            self._yield = None
            self.servo.seed(arm.joints, self.servo.gripper)
        self._target = self.servo.step(now_ns, _scaling(arm))
        return Tick(self._target if self._sends else None, tcp_pose)

    def _guide(self, now_ns: int, arm: ArmState, command: Command | None) -> Hand:
        """Return what to ask of the arm for hand guiding; NONE if it is not guided now."""
        wanted = command is not None and command.mode is ServoMode.GUIDE
        if not (wanted or self._guiding.active):
            return Hand.NONE
        wanted = wanted and self.guard.may_move(command)
        if self._guiding.active:
            hand = self._guiding.step(now_ns, arm, wanted=wanted)
            if problem := self._guiding.problem(now_ns):
                self.guard.latch(Fault.NOT_READY, problem, command)
        elif not (wanted and self._sends and not self.moving and is_at_rest(arm)):
            return Hand.NONE
        elif why := why_not_free(arm):
            self.guard.latch(Fault.CONTACT, why, command)
            return Hand.NONE
        else:
            hand = self._guiding.begin()
        # whenever joint targets begin again, they begin where the arm is
        gripper = command.gripper if wanted and command is not None else self.servo.gripper
        self.servo.seed(arm.joints, gripper)
        self._target = None
        return hand

    def reset_due(self, command: Command | None) -> bool:
        """Return whether to reset now: it was requested and the commanded joints are at rest.

        After a fault they come to rest where the arm is; see `_yield_to`.
        """
        if not self.guard.reset_asked(command) or self.moving:
            return False
        state = self._yield
        # settled only if the arm's position was checked after the request
        settled = state is None or (state.done and state.asked_ns is not None)
        return settled or (state is not None and state.waited_s >= _MOST_WAITED_S)

    def try_reset(self, command: Command, arm: ArmState, problem: str) -> None:
        """Clear the fault or refuse to; either way nothing moves.

        If the arm kept executing targets, the commanded joints stay as they are; otherwise they are
        seeded from the measured joints.

        Args:
            command: The command that requests the reset.
            arm: State after the arm's own recovery.
            problem: Why the arm could not recover; empty if it did.
        """
        problem = problem or self._hindrance(arm)
        self._yield = None  # at the next reset the commanded joints may move again
        if problem:
            self.guard.refuse_reset(command, problem)
            return
        if not self._sends:
            self.servo.seed(arm.joints, self.servo.gripper)
            self._target = None
        self.guard.reset(command)

    def _hindrance(self, arm: ArmState) -> str:
        """Return why the fault cannot be cleared now; empty if it can."""
        if not (arm.ready and arm.safety.may_move):
            why = f": {arm.explanation}" if arm.explanation else ""
            return f"the robot is in {arm.safety.name} and follows no joint targets{why}"
        if not is_at_rest(arm):
            fastest = float(np.abs(arm.velocities).max())
            return f"the arm still moves at {fastest:.2f} rad/s; wait until it stands"
        if self._sends and self._target is not None:
            off = _tracking_error_ratio(
                self.kinematics.tcp_pose(arm.joints), self._target.pose, self.guard.limits
            )
            if off > 1.0:
                return (
                    "the arm is held away from its commanded pose; free it from what holds it, then"
                    " reset again"
                )
        return ""

    def _yield_to(self, now_ns: int, arm: ArmState, command: Command | None) -> None:
        """After a fault, once all is at rest, move the commanded joints to the measured ones.

        If they differ, the arm was blocked: it would keep pressing on the obstacle, and leap when
        that is removed. The commanded joints move there once, within the limits, and again when a
        reset is requested: following the measured joints continuously would let the arm creep.
        """
        state = self._yield = self._yield or _Yield()
        asked = self.guard.reset_asked(command)
        if asked and state.asked_ns is None:  # the arm may have been moved meanwhile
            state.left, state.done = 2, False
        state.asked_ns = (state.asked_ns or now_ns) if asked else None
        state.waited_s = 0.0 if state.asked_ns is None else (now_ns - state.asked_ns) * 1e-9
        if state.under_way:
            state.under_way = self.servo.mode is not ServoMode.HOLD
        elif not state.done and not self.moving and self._target is not None and is_at_rest(arm):
            off = _tracking_error_ratio(
                self.kinematics.tcp_pose(arm.joints), self._target.pose, self.guard.limits
            )
            state.under_way = off > _YIELD_SHARE and state.left > 0
            state.done = not state.under_way
            if state.under_way:
                state.left -= 1
                self.servo.move_to(arm.joints)

    def state(
        self, now_ns: int, arm: ArmState, tick: Tick, priority: int, *, busy: bool = False
    ) -> ServoState:
        """Return the state to report to the control node."""
        target = self._target
        return ServoState(
            now_ns=now_ns,
            ticks=self._counts.ticks,
            robot_time_s=arm.robot_time_s,
            joints=arm.joints,
            velocities=arm.velocities,
            target_joints=target.joints if target else arm.joints,
            tcp_pose=tick.tcp_pose,
            target_pose=target.pose if target else tick.tcp_pose,
            gripper=self.servo.gripper,
            mode=ServoMode.GUIDE if self._guiding.free else self.servo.mode,
            moving=self.moving,
            ready=arm.ready,
            busy=busy,
            safety=arm.safety,
            fault=self.guard.fault,
            fault_text=self.guard.text,
            resets_done=self.guard.resets_done,
            chunk_stamp_ns=self._counts.chunk_stamp_ns,
            chunk_begun_ns=self._counts.chunk_begun_ns,
            chunk_late_ns=self._counts.chunk_late_ns,
            chunks_accepted=self._counts.accepted,
            chunks_refused=self._counts.refused,
            refusal=self._counts.refusal,
            priority=priority,
            speed_scaling=arm.speed_scaling,
            wrench=arm.wrench,
        )

    def _obey(self, command: Command, chunk: Chunk | None, now_ns: int) -> None:
        """Pass new requests in `command` on to the servo."""
        if command.mode is ServoMode.TWIST and command.twist_ns > self._twist_ns:
            self._twist_ns = command.twist_ns
            self.servo.follow_twist(command.twist, command.gripper, command.twist_ns)
        elif command.mode is ServoMode.CHUNK and chunk is not None:
            counts = self._counts
            try:
                self.servo.follow_chunk(chunk, now_ns)
            except ChunkError as error:
                counts.refused += 1
                counts.refusal = str(error)
            else:
                counts.accepted += 1
                counts.chunk_stamp_ns, counts.chunk_begun_ns = chunk.stamp_ns, now_ns
                counts.chunk_late_ns = self.servo.late_ns
        elif command.mode is ServoMode.JOINTS and command.enables > self._homing:
            self._homing = command.enables
            self.servo.move_to(self.home)
        if self.servo.mode not in (ServoMode.HOLD, command.mode):
            self.servo.stop()


_YIELD_SHARE = 0.1  # share of the tracking limits; within it the arm counts as on target
_MOST_WAITED_S = 3.0  # longest wait for the arm to come to rest


def _tracking_error_ratio(tcp_pose: Pose, target: Pose, limits: LimitsConfig) -> float:
    """Return the tool's tracking error as a multiple of the tracking limits."""
    error = pose_difference(tcp_pose, target).tolist()
    return max(
        math.hypot(*error[:3]) / limits.max_tracking_error_m,
        math.hypot(*error[3:]) / limits.max_tracking_error_rad,
    )


def _scaling(arm: ArmState) -> float:
    """Return the arm's speed scaling clamped to 0 to 1; NaN counts as 0."""
    scaling = arm.speed_scaling
    return 1.0 if scaling > 1.0 else scaling if scaling > 0.0 else 0.0
