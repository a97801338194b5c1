"""Episodes without ROS or sockets, in simulated time, as fast as the machine allows.

It runs the same servo, response of the arm and physics as in real time, in one thread, so that each
tick depends only on the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from carp_ros.control.kinematics import Kinematics
from carp_ros.control.mapping import TeleopCommand, TeleopMapping
from carp_ros.control.servo import Servo, Target
from carp_ros.rig import Rig
from carp_ros.sim.cell import STEP_NS, Cell
from carp_ros.sim.demonstrator import Demonstrator
from carp_ros.sim.followers import make_follower
from carp_ros.sim.goals import TaskResult

_SETTLE_NS = 2_000_000_000


class Agent(Protocol):
    """An operator or a policy that commands the arm.

    Attributes:
        period_ns: Time between two calls of `act`, a multiple of the cell's step.
        done: Whether it has finished the episode.
    """

    @property
    def period_ns(self) -> int: ...  # noqa: D102

    @property
    def done(self) -> bool: ...  # noqa: D102

    def act(self, servo: Servo, now_ns: int) -> None:
        """Command the servo from now on."""
        ...


class Operator:
    """The demonstrator with its pointer device.

    Args:
        rig: For the teleoperation mapping and rate.
        demonstrator: Moves the pointer.

    Attributes:
        command: Result of the last pointer reading.
    """

    def __init__(self, rig: Rig, demonstrator: Demonstrator) -> None:
        self.period_ns = STEP_NS * round(1e9 / rig.teleop.rate_hz / STEP_NS)
        self.command: TeleopCommand | None = None
        self._demonstrator = demonstrator
        self._mapping = TeleopMapping(rig.teleop)

    @property
    def done(self) -> bool:
        """Whether the demonstrator has finished and released the pointer."""
        return self._demonstrator.done

    def act(self, servo: Servo, now_ns: int) -> None:
        """Read the pointer and command the servo accordingly."""
        reading = self._demonstrator.read(now_ns)
        self.command = command = self._mapping.map(reading, now_ns, servo.pose.quaternion)
        if command.deadman:
            servo.follow_twist(command.twist, command.gripper, now_ns)
        else:
            servo.stop()


@dataclass(frozen=True)
class EpisodeResult:
    """Outcome of an episode, and its duration in simulated [s]."""

    verdict: TaskResult
    seconds: float
    timed_out: bool


def run_episode(
    cell: Cell,
    agent: Agent,
    timeout_s: float,
    watch: Callable[[int], None] = lambda now_ns: None,
    record: Callable[[int, Target], None] = lambda now_ns, target: None,
) -> EpisodeResult:
    """Let an agent act on a cell that was just reset, wait until objects settle, and judge.

    Args:
        cell: The cell, at the start of an episode.
        agent: Acts until it is done.
        timeout_s: Time limit for the agent, in simulated time.
        watch: Called with the time in [ns] before each action of the agent, and after settling, for
            example to render images.
        record: Called at each servo tick with the time in [ns] and the servo's command, until the
            agent is done, for recording.
    """
    arm = _Arm(cell)
    start_ns = cell.time_ns
    while not agent.done and cell.time_ns - start_ns < timeout_s * 1e9:
        if (cell.time_ns - start_ns) % agent.period_ns == 0:
            watch(cell.time_ns)
            agent.act(arm.servo, cell.time_ns)
        target = arm.aim()
        record(cell.time_ns, target)
        arm.move(target)
    end_ns, timed_out = cell.time_ns, not agent.done
    arm.servo.stop()
    while cell.time_ns < end_ns + _SETTLE_NS:
        arm.move(arm.aim())
    watch(cell.time_ns)
    return EpisodeResult(cell.judge(), (end_ns - start_ns) * 1e-9, timed_out)


class _Arm:
    """Servo, response of the arm and cell, advanced one servo tick at a time."""

    def __init__(self, cell: Cell) -> None:
        rig = cell.rig
        period_ns = round(1e9 / rig.servo.rate_hz)
        self._steps = max(1, round(period_ns / STEP_NS))
        self.servo = Servo(
            Kinematics(rig.robot, rig.tool.flange_from_tcp),
            rig.limits,
            period_ns * 1e-9,
            rig.servo.blend_s,
            cell.joints,
            cell.gripper_closure,
            np.array(rig.home_joints_rad),
            rig.latency.lead,
        )
        self._follower = make_follower(rig, cell.joints, STEP_NS * 1e-9)
        self._cell = cell

    def aim(self) -> Target:
        """Return the servo's current command."""
        return self.servo.step(self._cell.time_ns)

    def move(self, target: Target) -> None:
        """Advance by one servo period with this command."""
        for _ in range(self._steps):
            self._cell.drive(self._follower.step(target.joints), target.gripper)
            self._cell.advance()
