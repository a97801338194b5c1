"""One tick of the servo process, without its clock, its robot and its shared memory.

Joins the guard (may it move?) with the servo (how does it move?) and keeps what is reported.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from carp_ros.control.command import Command, Fault, ServoState
from carp_ros.control.guard import Guard
from carp_ros.control.kinematics import Kinematics
from carp_ros.control.servo import Mode, Servo, Target
from carp_ros.errors import ChunkError
from carp_ros.types import ArmState, Array, Chunk, Pose


@dataclass
class _Counts:
    """What the loop counts for the diagnostics."""

    ticks: int = 0
    followed: int = 0
    chunk_stamp_ns: int = 0
    chunk_begun_ns: int = 0
    refused: int = 0
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """What to do now: the `target` to send, None for nothing, and the measured `tool` pose."""

    target: Target | None
    tool: Pose


@dataclass
class ServoLoop:
    """Turns robot state and commands into joint targets, fail-closed.

    Attributes:
        kinematics: Of the arm and its tool.
        servo: Seeded at the measured joints.
        guard: Decides whether anything may move.
        home: Joint positions of the home motion, of shape (J,) in [rad].
    """

    kinematics: Kinematics
    servo: Servo
    guard: Guard
    home: Array
    _counts: _Counts = field(default_factory=_Counts)
    _target: Target | None = None
    _twist_ns: int = 0
    _homing: int = -1

    @property
    def moving(self) -> bool:
        """Whether the commanded joints move."""
        return self._target is not None and self._target.moving

    def tick(
        self, now_ns: int, arm: ArmState, command: Command | None, chunk: Chunk | None
    ) -> Tick:
        """Return what to send at `now_ns`.

        Args:
            now_ns: The time.
            arm: Newest robot state.
            command: Newest command; None before the first.
            chunk: A chunk that came since the last tick; None if none did.
        """
        tool = self.kinematics.tcp_pose(arm.joints)
        target_pose = self._target.pose if self._target else tool
        self._counts.ticks += 1
        self.guard.watch(now_ns, arm, tool, target_pose, command)
        if command is not None and self.guard.may_move(command):
            self._obey(command, chunk, now_ns)
        elif self.servo.mode is not Mode.HOLD:
            self.servo.stop()
        executes = arm.ready and arm.safety_mode.may_move
        if not executes and self.guard.fault is not Fault.NONE:
            # nothing that is sent now is executed: stand where the arm stands
            self.servo.seed(arm.joints, self.servo.gripper)
        self._target = self.servo.step(now_ns)
        return Tick(self._target if executes else None, tool)

    def reset_due(self, command: Command | None) -> bool:
        """Return whether to reset now: asked for, and done braking, for a reset stops at once."""
        return self.guard.reset_asked(command) and not self.moving

    def try_reset(self, command: Command, arm: ArmState, problem: str) -> None:
        """Clear the fault and stand where the arm is, or keep it.

        Args:
            command: Asks for the reset.
            arm: State after the arm's own recovery.
            problem: Why the arm could not recover; empty if it did.
        """
        if problem or not (arm.ready and arm.safety_mode.may_move):
            why = problem or f"the robot is in {arm.safety_mode.name}, program not running"
            self.guard.refuse_reset(command, why)
            return
        self.servo.seed(arm.joints, self.servo.gripper)
        self._target = None
        self.guard.reset(command)

    def state(
        self, now_ns: int, arm: ArmState, tick: Tick, priority: int, *, busy: bool = False
    ) -> ServoState:
        """Return what to tell the control node."""
        target = self._target
        return ServoState(
            now_ns=now_ns,
            ticks=self._counts.ticks,
            robot_time_s=arm.robot_time_s,
            joints=arm.joints,
            velocities=arm.velocities,
            target_joints=target.joints if target else arm.joints,
            tool=tick.tool,
            target=target.pose if target else tick.tool,
            gripper=self.servo.gripper,
            mode=self.servo.mode,
            moving=target.moving if target else False,
            ready=arm.ready,
            busy=busy,
            safety_mode=arm.safety_mode,
            fault=self.guard.fault,
            fault_text=self.guard.text,
            resets_done=self.guard.resets_done,
            chunk_stamp_ns=self._counts.chunk_stamp_ns,
            chunk_begun_ns=self._counts.chunk_begun_ns,
            chunks_followed=self._counts.followed,
            chunks_refused=self._counts.refused,
            refusal=self._counts.refusal,
            priority=priority,
        )

    def _obey(self, command: Command, chunk: Chunk | None, now_ns: int) -> None:
        """Pass on what is new in `command`."""
        if command.mode is Mode.TWIST and command.twist_ns > self._twist_ns:
            self._twist_ns = command.twist_ns
            self.servo.follow_twist(command.twist, command.gripper, command.twist_ns)
        elif command.mode is Mode.CHUNK and chunk is not None:
            self._follow(chunk, now_ns)
        elif command.mode is Mode.JOINTS and command.enables > self._homing:
            self._homing = command.enables
            self.servo.move_to(self.home)
        if self.servo.mode not in (Mode.HOLD, command.mode):
            self.servo.stop()

    def _follow(self, chunk: Chunk, now_ns: int) -> None:
        try:
            self.servo.follow_chunk(chunk, now_ns)
        except ChunkError as error:
            self._counts.refused += 1
            self._counts.refusal = str(error)
        else:
            self._counts.followed += 1
            self._counts.chunk_stamp_ns, self._counts.chunk_begun_ns = chunk.stamp_ns, now_ns
