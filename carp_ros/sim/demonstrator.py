"""A scripted operator that moves a pointer device as a person would.

It reads object poses from the simulation but knows nothing of joints, servo or limits: its
deflections pass through the same mapping and servo as a person's. Pauses, speeds, heights and hand
tremor vary with the seed.
"""

from __future__ import annotations

import math

import numpy as np

from carp_ros.control.kinematics import Kinematics
from carp_ros.geometry import matrix_from_quaternion, pose_difference
from carp_ros.rig import Rig, TeleopConfig
from carp_ros.sim.cell import Cell
from carp_ros.sim.goals import Goal
from carp_ros.sim.scripts import Grip, Look, Move, Script, go_home, reach
from carp_ros.types import Array, PointerState, Pose

_TURN_RAD_S = 0.5
# How the hand slows down before a target: at this deceleration, then exponentially.
_BRAKE_M_S2, _BRAKE_RAD_S2, _APPROACH_HZ = 0.5, 1.5, 4.0
_HAND_S = 0.06  # time constant of the hand
_NEAR_M, _NEAR_RAD = 0.025, 0.15
_AT_M, _AT_RAD = 0.003, 0.03
_PRESS_S, _GRIP_S = 0.12, 0.9
_PATIENCE_S = 8.0  # for one move, before going on regardless
_OPEN, _CLOSED = 0.08, 0.15  # closure below which the gripper counts as open, above it as closed
_UNSTEADY = 0.10  # tremor as a share of the speed, with a time constant of 0.3 s
_STEP_S = 0.01  # period assumed for the first reading


class Demonstrator:
    """Does what the cell asks for with a pointer device, once per episode.

    When the cell starts a new episode (its `episode` counts up), it starts again by itself, from
    wherever the arm is.

    Args:
        look: Returns the current cell: the cell itself in lockstep, a copy restored from the newest
            snapshot in real time.
        rig: For its home pose and teleoperation mapping.
        seed: Of all random choices, together with the cell's seed.
    """

    def __init__(self, look: Look, rig: Rig, seed: int = 0) -> None:
        self._look = look
        self._seed = seed
        self._teleop = rig.teleop
        kinematics = Kinematics(rig.robot, rig.tool.flange_from_tcp)
        self._home = kinematics.tcp_pose(np.array(rig.home_joints_rad))
        self._episode = -1
        self._done = False

    def open(self) -> None:
        """Do nothing: there is no device."""

    def close(self) -> None:
        """Do nothing: there is no device."""

    @property
    def done(self) -> bool:
        """Whether the cell's current episode is finished, successfully or not."""
        return self._done and self._look().episode == self._episode

    def read(self, now_ns: int) -> PointerState:
        """Return the current deflections and buttons."""
        cell = self._look()
        if cell.episode != self._episode:
            self._begin(cell, now_ns)
        dt_s = min(max((now_ns - self._last_ns) * 1e-9, 0.0), 0.05)
        self._last_ns = now_ns
        wanted = np.zeros(6)
        if not self._done and now_ns >= self._resume_ns:
            if isinstance(self._step, Move):
                wanted = self._in_its_frame(
                    self._steer(cell.tcp_pose, self._step, dt_s), cell.tcp_pose
                )
                if self._arrived(cell.tcp_pose, self._step, now_ns):
                    self._next(now_ns)
            else:
                self._grip(cell, self._step, now_ns)
        self._hand += (deflections_for(wanted, self._teleop) - self._hand) * min(
            1.0, dt_s / _HAND_S
        )
        buttons = (not self._done, not self._done and now_ns < self._release_ns)
        deflections = np.zeros(6) if self._done else self._hand.copy()
        return PointerState(deflections, buttons, connected=True)

    def _begin(self, cell: Cell, now_ns: int) -> None:
        self._rng = np.random.default_rng([self._seed, cell.seed, 2])
        self._script = self._all_steps(cell.goal)
        self._episode = cell.episode
        self._last_ns = now_ns - round(_STEP_S * 1e9)
        self._release_ns = now_ns
        self._hand, self._tremor = np.zeros(6), np.zeros(6)
        self._done = False
        self._next(now_ns)

    def _all_steps(self, goal: Goal) -> Script:
        yield from go_home(self._look, self._home)
        yield from reach(goal, self._look, self._rng)

    def _next(self, now_ns: int) -> None:
        """Start the next step, usually after a short pause, sometimes after a longer one."""
        step = next(self._script, None)
        if step is None:
            self._done = True
            return
        self._step = step
        pause_s = self._rng.uniform(0.0, 0.12)
        if self._rng.random() < 0.2:
            pause_s += self._rng.uniform(0.1, 0.4)
        self._resume_ns = now_ns + round(pause_s * 1e9)
        self._give_up_ns = self._resume_ns + round(_PATIENCE_S * 1e9)
        self._look_again_ns = now_ns

    def _steer(self, tool: Pose, move: Move, dt_s: float) -> Array:
        """Return the desired tool velocity, (6,) in [m/s] and [rad/s]."""
        self._tremor += -self._tremor * dt_s / 0.3
        self._tremor += self._rng.normal(0.0, 1.0, 6) * math.sqrt(2.0 * dt_s / 0.3)
        gap = pose_difference(tool, move.pose)
        wanted = np.zeros(6)
        limits = (move.speed_m_s, _TURN_RAD_S)
        for part, limit, brake in zip(
            (slice(0, 3), slice(3, 6)), limits, (_BRAKE_M_S2, _BRAKE_RAD_S2)
        ):
            distance = float(np.linalg.norm(gap[part]))
            speed = min(limit, math.sqrt(2.0 * brake * distance), _APPROACH_HZ * distance)
            direction = gap[part] / max(distance, 1e-9)
            wanted[part] = speed * (direction + _UNSTEADY * self._tremor[part])
        return wanted

    def _in_its_frame(self, velocity: Array, tool: Pose) -> Array:
        """Return a velocity of the base frame in the frame that the mapping assumes."""
        if self._teleop.frame == "base":
            return velocity
        tool_from_base = matrix_from_quaternion(tool.quaternion).T
        return np.concatenate([tool_from_base @ velocity[:3], tool_from_base @ velocity[3:]])

    def _arrived(self, tool: Pose, move: Move, now_ns: int) -> bool:
        gap = pose_difference(tool, move.pose)
        near_m, near_rad = (_AT_M, _AT_RAD) if move.precise else (_NEAR_M, _NEAR_RAD)
        near_m = near_m if move.within_m is None else move.within_m
        there = np.linalg.norm(gap[:3]) < near_m and np.linalg.norm(gap[3:]) < near_rad
        return bool(there) or now_ns > self._give_up_ns

    def _grip(self, cell: Cell, grip: Grip, now_ns: int) -> None:
        """Press the button unless the gripper already obeys; press again if that has no effect."""
        closure = cell.gripper_closure
        obeyed = closure > _CLOSED if grip.closed else closure < _OPEN
        if now_ns >= self._look_again_ns:
            if obeyed:
                self._next(now_ns)
                return
            self._release_ns = now_ns + round(_PRESS_S * 1e9)
            self._look_again_ns = now_ns + round(_GRIP_S * 1e9)


def deflections_for(velocity: Array, teleop: TeleopConfig) -> Array:
    """Return the deflections that the teleoperation mapping turns into a tool velocity.

    Args:
        velocity: In the mapping's frame, (6,) in [m/s] and [rad/s]; clipped to full speed.
        teleop: The mapping's parameters.
    """
    scale = np.array(teleop.axis_scale)
    full = np.repeat([teleop.linear_speed_m_s, teleop.angular_speed_rad_s], 3) * np.abs(scale)
    shaped = np.clip(np.abs(velocity) / np.maximum(full, 1e-9), 0.0, 1.0)
    reach = teleop.dead_zone + (1.0 - teleop.dead_zone) * shaped ** (1.0 / teleop.exponent)
    # Below a hundredth of full speed the hand rests, to avoid jumping across the dead zone.
    held = np.where(shaped > 0.01, reach, 0.0)
    return np.sign(scale) * np.sign(velocity) * held
