import dataclasses

import numpy as np
import pytest

from carp_ros.control.kinematics import Kinematics
from carp_ros.geometry import rotation_between
from carp_ros.sim.arm_model import GRIPPER_PREFIX
from carp_ros.sim.cell import STEP_NS, Cell
from carp_ros.sim.tasks import TASKS, task_named
from carp_ros.types import Pose


def kinematics(rig) -> Kinematics:
    tool = rig.tool
    return Kinematics(rig.robot, Pose(np.array(tool.position_m), np.array(tool.quaternion)))


@pytest.fixture
def cell(rig) -> Cell:
    return Cell(rig, task_named("cup"), visuals=False)


def put(cell: Cell, joints) -> None:
    """Place the arm, without physics."""
    for name, value in zip(cell.rig.robot.joint_names, joints):
        cell.data.joint(name).qpos = value
    cell.restore(cell.snapshot(0))  # brings everything derived up to date


def test_the_cell_and_the_kinematics_put_the_tool_at_the_same_place(cell, rig):
    arm = kinematics(rig)
    for joints in np.random.default_rng(0).uniform(-3.0, 3.0, (50, 6)):
        put(cell, joints)
        expected = arm.tcp_pose(joints)
        np.testing.assert_allclose(cell.tcp_pose.position, expected.position, atol=1e-6)
        turn = rotation_between(cell.tcp_pose.quaternion, expected.quaternion)
        np.testing.assert_allclose(turn, 0.0, atol=1e-6)


def test_the_tool_centre_point_lies_between_the_pads_and_the_fingers_close_along_its_y_axis(cell):
    pinch = cell.data.site(f"{GRIPPER_PREFIX}pinch")
    np.testing.assert_allclose(pinch.xpos, cell.tcp_pose.position, atol=1e-9)
    tcp = cell.data.site("tcp").xmat.reshape(3, 3)
    np.testing.assert_allclose(pinch.xmat.reshape(3, 3), tcp, atol=1e-9)
    pads = [cell.data.body(f"{GRIPPER_PREFIX}{side}_pad").xpos for side in ("left", "right")]
    x, y, z = tcp.T @ (pads[1] - pads[0])
    assert abs(y) > 0.08
    assert max(abs(x), abs(z)) < 1e-9


@pytest.mark.parametrize("direction", [(0, 1, 0), (0, -1, 0), (1, 0, 0), (0, 0, -1)])
def test_the_arm_follows_a_quarter_metre_a_second_within_a_millimetre(cell, rig, direction):
    arm = kinematics(rig)
    joints = np.array(rig.home_joints_rad)
    start = arm.tcp_pose(joints)
    errors = []
    for tick in range(900):
        t = tick * STEP_NS * 1e-9
        # 0.25 m/s reached and left at 1 m/s2; 0.25 m in all
        way = min(0.5 * t**2, 0.25 * t - 0.03125, 0.25) if t > 0.25 else 0.5 * t**2
        if t > 1.0:
            way = 0.25 - 0.5 * max(0.0, 1.25 - t) ** 2
        pose = Pose(start.position + way * np.array(direction), start.quaternion)
        joints = arm.solve(pose, joints)
        cell.drive(joints, 0.0)
        cell.advance()
        errors.append(np.linalg.norm(cell.tcp_pose.position - pose.position))
    assert max(errors) < 1e-3
    assert errors[-1] < 1e-5, "a servo that sags under its own weight"


def test_the_state_has_the_same_layout_with_and_without_visuals(rig):
    for task in TASKS.values():
        bare, seen = (Cell(rig, task, visuals=v) for v in (False, True))
        assert bare.snapshot_dtype == seen.snapshot_dtype
        np.testing.assert_array_equal(bare.model.jnt_qposadr, seen.model.jnt_qposadr)
        np.testing.assert_array_equal(bare.model.body_mass, seen.model.body_mass)
        np.testing.assert_array_equal(bare.model.body_inertia, seen.model.body_inertia)


def test_a_restored_cell_goes_on_exactly_as_the_one_it_came_from(rig):
    ahead, behind = (Cell(rig, task_named("cup"), visuals=v) for v in (False, True))
    ahead.reset(7, "hard")
    target = np.array(rig.home_joints_rad) + 0.05
    for _ in range(50):
        ahead.drive(target, 1.0)
        ahead.advance()
    behind.restore(ahead.snapshot(wall_ns=5))
    for cell in (ahead, behind):
        for _ in range(50):
            cell.drive(target, 1.0)
            cell.advance()
    np.testing.assert_array_equal(behind.data.qpos, ahead.data.qpos)
    assert behind.time_ns == ahead.time_ns
    assert (behind.seed, behind.level, behind.episode) == (7, "hard", ahead.episode)


def test_looks_follow_from_seed_and_level_alone(rig):
    one, other = (Cell(rig, task_named("cup"), visuals=False) for _ in range(2))
    one.reset(1, "hard")
    one.reset(2, "normal")
    other.scatter(2, "normal")
    np.testing.assert_array_equal(one.model.mat_rgba, other.model.mat_rgba)
    np.testing.assert_array_equal(one.model.cam_pos, other.model.cam_pos)
    np.testing.assert_array_equal(one.model.light_diffuse, other.model.light_diffuse)
    restored = Cell(rig, task_named("cup"), visuals=False)
    restored.restore(other.snapshot(0))
    np.testing.assert_array_equal(restored.model.mat_rgba, other.model.mat_rgba)


def test_scattering_moves_the_objects_and_not_the_arm(cell):
    for _ in range(20):
        cell.drive(np.array(cell.rig.home_joints_rad) + 0.1, 0.5)
        cell.advance()
    joints, time_ns, cup = cell.joints, cell.time_ns, cell.object_pose("cup").position
    cell.scatter(3, "hard")
    np.testing.assert_array_equal(cell.joints, joints)
    assert cell.time_ns == time_ns
    assert np.linalg.norm(cell.object_pose("cup").position - cup) > 0.01


def test_the_gripper_closes_and_opens_in_about_the_time_of_a_real_one(cell):
    joints = np.array(cell.rig.home_joints_rad)
    assert cell.gripper_closure < 0.01
    for target, reached in ((1.0, 0.95), (0.0, 0.05)):
        steps = 0
        while abs(cell.gripper_closure - target) > abs(target - reached):
            cell.drive(joints, target)
            cell.advance()
            steps += 1
        assert 0.5 < steps * STEP_NS * 1e-9 < 1.0


def test_an_arm_that_the_cell_does_not_have_is_refused(rig):
    other = dataclasses.replace(rig.robot, name="ur10e")
    with pytest.raises(ValueError, match="the cell has no ur10e; expected robot: ur5e or fr3"):
        Cell(dataclasses.replace(rig, robot=other), task_named("cup"), visuals=False)


def test_an_unknown_task_or_level_is_refused_by_name(cell):
    with pytest.raises(ValueError, match="task is 'tea'; expected one of cup, bowl"):
        task_named("tea")
    with pytest.raises(ValueError, match="level is 'wild'; expected one of none, normal, hard"):
        cell.scatter(0, "wild")


def test_measuring_the_wrench_changes_nothing_else(rig):
    cells = [Cell(rig, task_named("cup"), visuals=False) for _ in range(2)]
    cells[1].measures_wrench = True
    arm, joints = kinematics(rig), np.array(rig.home_joints_rad)
    pose = arm.tcp_pose(joints)
    for tick in range(600):  # down onto the table
        lower = Pose(pose.position - [0.0, 0.0, 0.0006 * tick], pose.quaternion)
        joints = arm.solve(lower, joints)
        for cell in cells:
            cell.drive(joints, 0.5)
            cell.advance()
        np.testing.assert_array_equal(cells[0].data.qpos, cells[1].data.qpos)
    assert np.abs(cells[1].wrench).max() > 5.0


def test_the_wrench_is_zero_in_the_air_and_points_up_on_the_table(cell, rig):
    cell.measures_wrench = True
    arm, joints = kinematics(rig), np.array(rig.home_joints_rad)
    cell.drive(joints, 1.0)
    for _ in range(500):  # the fingers close on nothing but each other
        cell.advance()
    assert np.abs(cell.wrench).max() < 0.5
    pose = arm.tcp_pose(joints)
    for depth_m in np.linspace(0.0, pose.position[2] - 0.016, 1500):  # they reach below the TCP
        lower = Pose(pose.position - [0.0, 0.0, depth_m], pose.quaternion)
        joints = arm.solve(lower, joints)
        cell.drive(joints, 1.0)
        cell.advance()
    for _ in range(200):
        cell.advance()
    force, torque = cell.wrench[:3], cell.wrench[3:]
    assert force[2] > 5.0
    assert np.abs(force[:2]).max() < 0.5 * force[2]
    # an upward force about below the flange has hardly any lever
    assert np.abs(torque).max() < 0.2 * force[2]
