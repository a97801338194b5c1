"""The cell with an FR3: model, fingers, the arm's response, and a task in lockstep."""

from pathlib import Path

import mujoco
import numpy as np
import pytest

pytest.importorskip("franky_sim", reason="needs franky_sim: pip install 'carp_ros[fr3]'")

from carp_ros.control.kinematics import Kinematics
from carp_ros.geometry import pose_difference
from carp_ros.rig import load_rig
from carp_ros.robots import FR3
from carp_ros.sim.cell import Cell
from carp_ros.sim.cell_plant import CellPlant
from carp_ros.sim.demonstrator import Demonstrator
from carp_ros.sim.followers import make_follower
from carp_ros.sim.franka import protocol as fci
from carp_ros.sim.franka.controller import CYCLE_S, FrankaController
from carp_ros.sim.franka.model import urdf_of
from carp_ros.sim.lockstep import Operator, run_episode
from carp_ros.sim.tasks import task_named

RIG = load_rig(Path(__file__).parents[2] / "config" / "fr3_sim.yaml")
HOME = np.array(RIG.home_joints_rad)


@pytest.fixture(scope="module")
def module_cell() -> Cell:
    return Cell(RIG, task_named("cup"), visuals=False)


@pytest.fixture
def cell(module_cell) -> Cell:
    module_cell.reset(0, "normal")
    return module_cell


def test_the_model_has_its_tool_where_our_kinematics_say(cell):
    arm = Kinematics(FR3, RIG.tool.flange_from_tcp)
    rng = np.random.default_rng(0)
    for _ in range(20):
        joints = rng.uniform(FR3.lower_rad, FR3.upper_rad)
        cell.data.qpos[cell._qpos] = joints
        mujoco.mj_kinematics(cell.model, cell.data)
        gap = pose_difference(arm.tcp_pose(joints), cell.tcp_pose)
        assert np.abs(gap).max() < 1e-6


def test_the_fingers_open_and_close(cell):
    assert cell.gripper_closure < 0.01
    for closure in (1.0, 0.5, 0.0):
        for _ in range(600):
            cell.drive(HOME, closure)
            cell.advance()
        assert cell.gripper_closure == pytest.approx(closure, abs=0.03)


def test_the_motors_hold_the_arm_to_its_set_point(cell):
    for step in range(500):
        cell.drive(HOME + 0.1 * (1.0 - np.cos(np.pi * step / 500)) / 2.0, 0.0)
        cell.advance()
        assert np.abs(cell.joints - cell.target_joints).max() < 2e-3


def test_the_arm_responds_in_lockstep_as_behind_its_own_controller(cell):
    """Which gets torques of the same law, computed by its client."""
    arm, period_s = RIG.arm, 1.0 / RIG.servo.rate_hz
    controller = FrankaController(FR3, CellPlant(cell, None), urdf_of(FR3))
    follower = make_follower(RIG, HOME, period_s)
    request = fci.MOVE_REQUEST.pack(fci.ControllerMode.EXTERNAL, fci.Generator.NONE, *[0.0] * 6)
    controller.request(fci.Command.MOVE, 1, request)
    target, apart = HOME, []
    for tick in range(500):
        before, target = target, HOME + 0.1 * (1.0 - np.cos(np.pi * tick / 500)) / 2.0
        expected = follower.step(target)
        speed = (target - before) / period_s
        for _ in range(2):
            state = controller.state()
            torques = np.array(arm.stiffness_nm_rad) * (target - state.joints)
            torques += np.array(arm.damping_nm_s_rad) * (speed - state.velocities)
            controller.command(
                fci.MotionCommand(
                    (0.0,) * 7, (0.0,) * 7, (0.0,) * 16, (0.0,) * 6, tuple(torques), False
                )
            )
            controller.cycle()
        apart.append(np.abs(controller.plant.joints - expected).max())
    assert max(apart) < 2e-3
    assert controller.errors == ()
    assert period_s == CYCLE_S * 2


def test_the_scripted_operator_puts_the_cup_in_the_field(cell):
    result = run_episode(cell, Operator(RIG, Demonstrator(lambda: cell, RIG)), 40.0)
    assert result.verdict.success, result.verdict.reasons
