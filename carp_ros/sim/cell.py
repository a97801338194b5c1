"""The simulated cell: the physics of arm, gripper and objects, one 2 ms step at a time.

It uses no clock, no sockets and no ROS. In lockstep, one process steps it and reads everything; in
real time, the emulated controller steps it and publishes snapshots, from which other processes
restore their own copies, to render them or to read the state.
"""

from __future__ import annotations

import mujoco
import numpy as np
import numpy.typing as npt

from carp_ros.geometry import invert, quaternion_from_matrix
from carp_ros.rig import Rig
from carp_ros.sim.appearance import Appearance
from carp_ros.sim.arm_model import TCP_SITE
from carp_ros.sim.cell_arm import cell_arm
from carp_ros.sim.goals import Goal, TaskResult
from carp_ros.sim.levels import LEVELS, level_named
from carp_ros.sim.scene import TIMESTEP_S, build_scene
from carp_ros.sim.task import Task, staging_of
from carp_ros.types import Array, Pose

STEP_NS = round(TIMESTEP_S * 1e9)
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
_LEVEL_NAMES = tuple(LEVELS)
_SMOOTHING = TIMESTEP_S / 0.02  # time constant 20 ms; a rigid contact rings


class Cell:
    """Arm, gripper and the objects of one task.

    Attributes:
        staging: Colours of the episode, and what can be asked for.
        measures_wrench: Whether `advance` also computes `wrench`: about 35 us more.

    Args:
        rig: The simulated rig.
        task: Determines the objects on the table.
        visuals: Whether to load visual geometry; the state is the same with and without.

    Raises:
        ValueError: If the cell has no model of the rig's arm.
    """

    def __init__(self, rig: Rig, task: Task, *, visuals: bool) -> None:
        self.rig = rig
        self.task = task
        self.model = build_scene(rig, task, visuals=visuals).compile()
        self.data = mujoco.MjData(self.model)
        joints = [self.model.joint(name) for name in rig.robot.joint_names]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._qvel = np.array([joint.dofadr[0] for joint in joints])
        self._arm = arm = cell_arm(rig.robot)
        self._fingers = [int(self.model.joint(name).qposadr[0]) for name in arm.finger_joints]
        self._tcp = self.model.site(TCP_SITE).id
        # Feed-forward, so that the servo's damping does not make the joint lag in motion.
        self._lead_s = np.array(arm.damping) / np.array(arm.stiffness)
        self._max_speed = np.array(rig.robot.max_speed_rad_s)
        self._flange = int(self.model.site(TCP_SITE).bodyid[0])
        self._tool_bodies = _subtree(self.model, self._flange)
        self._tcp_to_flange_m = invert(rig.tool.flange_from_tcp).position
        self.measures_wrench = False
        self._appearance = Appearance(self.model, task.colours)
        self.snapshot_dtype = np.dtype(
            [
                ("time_ns", np.int64),
                ("wall_ns", np.int64),
                ("episode", np.int64),
                ("seed", np.int64),
                ("level", np.int64),
                ("goal", np.int64),
                ("targets", np.float64, (len(joints) + 1,)),
                ("state", np.float64, (mujoco.mj_stateSize(self.model, _STATE),)),
            ]
        )
        self.episode = -1
        self.reset(0, "none")

    def reset(self, seed: int, level: str) -> None:
        """Start a new episode from scratch: arm at home and at rest, time at zero.

        Args:
            seed: Of places and appearance; the same seed and level give the same episode.
            level: Amount of randomisation: `none`, `normal` or `hard`.

        Raises:
            ValueError: If there is no such level.
        """
        mujoco.mj_resetData(self.model, self.data)
        self.time_ns = 0
        home = np.array(self.rig.home_joints_rad)
        self.data.qpos[self._qpos] = home
        self.data.qpos[self._fingers] = self._arm.finger_open
        self._targets, self._previous, self._gripper = home, home, 0.0
        self._gripper_ctrl = 0.0
        self._wrench = np.zeros(6)
        self.scatter(seed, level)

    def scatter(self, seed: int, level: str) -> None:
        """Start a new episode by randomising objects and appearance only; the arm is not moved.

        This is what a person does between two episodes. An object in the gripper is removed from
        it.

        Raises:
            ValueError: If there is no such level.
        """
        amounts = level_named(level)
        self.episode += 1
        self._stage(seed, level)
        places = np.random.default_rng([seed, 0])
        for name, pose in self.task.scatter(places, amounts).items():
            joint = self.data.joint(f"{name}_free")
            joint.qpos = [*pose.position, *pose.quaternion[[3, 0, 1, 2]]]
            joint.qvel = 0.0
        mujoco.mj_forward(self.model, self.data)

    def _stage(self, seed: int, level: str) -> None:
        """Set what a seed decides besides places."""
        self.seed, self.level = seed, level
        self.staging = staging_of(self.task, seed)
        self._goal = 0
        rng = np.random.default_rng([seed, 1])
        self._appearance.randomise(rng, level_named(level), self.staging.colours)

    @property
    def goal(self) -> Goal:
        """What is asked for: by the seed, until `ask`."""
        return self.staging.goals[self._goal]

    def ask(self, goal: Goal) -> None:
        """Ask for another of `staging.goals`, until the next episode."""
        self._goal = self.staging.goals.index(goal)

    def place_arm(self, joints: Array) -> None:
        """Put the arm at joint positions of shape (J,) in [rad], at rest, without moving there."""
        self.data.qpos[self._qpos] = joints
        self.data.qvel[self._qvel] = 0.0
        self._targets = self._previous = np.array(joints, dtype=float)
        mujoco.mj_forward(self.model, self.data)

    def drive(self, joints: Array, gripper: float) -> None:
        """Set the targets of arm and gripper, towards which `advance` moves them.

        Args:
            joints: Joint positions in [rad].
            gripper: 0 open to 1 closed.
        """
        self._targets, self._gripper = np.array(joints, dtype=float), float(gripper)

    def advance(self) -> None:
        """Advance the simulation by 2 ms."""
        speed = (self._targets - self._previous) / TIMESTEP_S
        speed = np.minimum(np.maximum(speed, -self._max_speed), self._max_speed)
        self._previous = self._targets
        arm = self._arm
        stroke = TIMESTEP_S / arm.stroke_s
        self._gripper_ctrl += min(max(self._gripper - self._gripper_ctrl, -stroke), stroke)
        self.data.ctrl[:-1] = self._targets + self._lead_s * speed
        self.data.ctrl[-1] = arm.ctrl_open + (arm.ctrl_closed - arm.ctrl_open) * self._gripper_ctrl
        # Second half of the step first: positions, contacts and speeds then have the new time.
        mujoco.mj_step2(self.model, self.data)
        if self.measures_wrench:
            change = self._contact_wrench() - self._wrench
            self._wrench = self._wrench + _SMOOTHING * change
        mujoco.mj_step1(self.model, self.data)
        self.time_ns += STEP_NS

    @property
    def joints(self) -> Array:
        """Joint positions of shape (J,) in [rad]."""
        return self.data.qpos[self._qpos]

    @property
    def palm_m(self) -> float:
        """Distance from the gripper's palm to the tool centre point in [m]."""
        return self._arm.palm_m

    @property
    def target_joints(self) -> Array:
        """Joint positions of shape (J,) in [rad] that the motors pull to."""
        return self._targets

    @property
    def velocities(self) -> Array:
        """Joint velocities of shape (J,) in [rad/s]."""
        return self.data.qvel[self._qvel]

    @property
    def gripper_closure(self) -> float:
        """Measured closure of the fingers: 0 open to 1 closed."""
        arm = self._arm
        moved = float(self.data.qpos[self._fingers[0]]) - arm.finger_open
        return min(max(moved / (arm.finger_closed - arm.finger_open), 0.0), 1.0)

    @property
    def tcp_pose(self) -> Pose:
        """`base_from_tcp`; the fingers close along the tool's y axis."""
        rotation = self.data.site_xmat[self._tcp].reshape(3, 3)
        return Pose(self.data.site_xpos[self._tcp].copy(), quaternion_from_matrix(rotation))

    @property
    def wrench(self) -> Array:
        """Contact forces on hand and fingers, of shape (6,): see `carp_ros.types.ArmState`.

        Of the steps with `measures_wrench`, smoothed as by a real controller; zero before.
        """
        return self._wrench

    def _contact_wrench(self) -> Array:
        """Return `wrench` between the halves of a step, while contacts and their forces agree."""
        data = self.data
        mujoco.mj_rnePostConstraint(self.model, data)
        # torque then force, about the centre of mass of the whole arm
        pushes = data.cfrc_ext[self._tool_bodies].sum(axis=0)
        centre = data.subtree_com[self.model.body_rootid[self._flange]]
        turn = data.site_xmat[self._tcp].reshape(3, 3)
        flange = data.site_xpos[self._tcp] + turn @ self._tcp_to_flange_m
        x, y, z = (centre - flange).tolist()
        tx, ty, tz, fx, fy, fz = pushes.tolist()
        return np.array(
            (fx, fy, fz, tx + y * fz - z * fy, ty + z * fx - x * fz, tz + x * fy - y * fx)
        )

    def object_pose(self, name: str) -> Pose:
        """Return `base_from_object`; an object's origin is the centre of its underside."""
        body = self.data.body(name)
        return Pose(body.xpos.copy(), body.xquat[[1, 2, 3, 0]])

    def judge(self) -> TaskResult:
        """Judge on the current state whether what is asked for is done."""
        return self.task.judge(self.goal, self.model, self.data)

    def snapshot(self, wall_ns: int) -> npt.NDArray[np.void]:
        """Return everything that `restore` needs, of shape () and `snapshot_dtype`.

        Args:
            wall_ns: The caller's clock at this state, stored in the snapshot.
        """
        record = np.zeros((), self.snapshot_dtype)
        record["time_ns"], record["wall_ns"] = self.time_ns, wall_ns
        record["episode"], record["seed"] = self.episode, self.seed
        record["level"] = _LEVEL_NAMES.index(self.level)
        record["goal"] = self._goal
        record["targets"] = [*self._previous, self._gripper_ctrl]
        state = np.zeros(self.snapshot_dtype["state"].shape)
        mujoco.mj_getState(self.model, self.data, state, _STATE)
        record["state"] = state
        return record

    def restore(self, record: npt.NDArray[np.void]) -> None:
        """Restore the state and appearance of a snapshot."""
        seed, level = int(record["seed"]), _LEVEL_NAMES[int(record["level"])]
        if (seed, level) != (self.seed, self.level):
            self._stage(seed, level)
        self._goal = int(record["goal"])
        self.episode, self.time_ns = int(record["episode"]), int(record["time_ns"])
        self._targets = self._previous = record["targets"][:-1].copy()
        self._gripper = self._gripper_ctrl = float(record["targets"][-1])
        mujoco.mj_setState(self.model, self.data, record["state"], _STATE)
        mujoco.mj_step1(self.model, self.data)


def _subtree(model: mujoco.MjModel, root: int) -> list[int]:
    """Return the bodies of a subtree, `root` included; a body's parent comes before it."""
    bodies = [root]
    for body in range(root + 1, model.nbody):
        if int(model.body_parentid[body]) in bodies:
            bodies.append(body)
    return bodies
