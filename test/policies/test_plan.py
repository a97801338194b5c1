"""Tests for policies/plan.py: actions become a plan, or a refusal, whatever their layout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.chain import tcp_pose
from carp_ros.errors import PolicyError
from carp_ros.geometry import quaternion_from_rotvec, rotation_between
from carp_ros.inference.layout import TOOL, VectorLayout, vector_from_tcp_pose
from carp_ros.policies.plan import PlanReader
from carp_ros.rig import load_rig
from carp_ros.share import share_folder
from carp_ros.types import Pose

READER = PlanReader(TOOL.spanning((-1.0,) * 10, (1.0,) * 10), 0.1)
RIG = load_rig(share_folder() / "config" / "ur5e_sim.yaml")


def actions(steps=4):
    tool = Pose(np.array([0.4, 0.0, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))
    return np.tile(vector_from_tcp_pose(tool, 0.5), (steps, 1))


@given(st.tuples(*[st.floats(-3.0, 3.0)] * 3), st.floats(0.1, 10.0), st.floats(0.1, 10.0))
def test_rotations_come_back_whatever_length_their_columns_have(rotvec, first, second):
    quaternion = quaternion_from_rotvec(np.array(rotvec))
    row = vector_from_tcp_pose(Pose(np.zeros(3), quaternion), 0.0)
    row[3:6] *= first
    row[6:9] *= second
    chunk = READER.chunk(row[None], 0)
    assert np.linalg.norm(rotation_between(chunk.quaternions[0], quaternion)) < 1e-6


def test_each_step_is_due_its_number_of_steps_after_the_observation():
    chunk = READER.chunk(actions(4), 7_000)
    assert chunk.stamp_ns == 7_000
    assert (chunk.times_ns - 7_000).tolist() == [0, 100_000_000, 200_000_000, 300_000_000]


def test_the_gripper_is_clipped():
    wild = actions(3)
    wild[:, 9] = [-0.2, 0.4, 1.3]
    assert READER.chunk(wild, 0).gripper.tolist() == [0.0, 0.4, 1.0]


def test_a_number_that_is_none_is_refused_with_its_place():
    wild = actions()
    wild[2, 1] = np.nan
    with pytest.raises(PolicyError, match=r"y of step 2 is nan"):
        READER.chunk(wild, 0)


@pytest.mark.parametrize("columns", [[0.0] * 6, [1, 0, 0, 0, 0, 0], [1, 0, 0, -2, 0, 0]])
def test_columns_that_name_no_rotation_are_refused(columns):
    wild = actions()
    wild[3, 3:9] = columns
    with pytest.raises(PolicyError, match=r"rot6d of step 3 is .*give no rotation"):
        READER.chunk(wild, 0)


def joints_layout(count=6):
    names = (*(RIG.robot.joint_names)[:count], "gripper")
    return VectorLayout(
        "joints", names, (*["rad"] * count, "1"), (-7.0,) * count + (0.0,), (7.0,) * count + (1.0,)
    )


def test_joints_become_the_poses_that_the_arm_has_at_them():
    reader = PlanReader(joints_layout(), 0.1, RIG)
    actions = np.tile([*RIG.home_joints_rad, 0.25], (3, 1))
    actions[:, 0] += [0.0, 0.1, 0.2]
    chunk = reader.chunk(actions, 0)
    for step, action in enumerate(actions):
        expected = tcp_pose(RIG.robot, RIG.tool.flange_from_tcp, action[:-1])
        np.testing.assert_allclose(chunk.positions[step], expected.position, atol=1e-9)
        turned = rotation_between(chunk.quaternions[step], expected.quaternion)
        assert np.linalg.norm(turned) < 1e-6
    assert chunk.gripper.tolist() == [0.25] * 3


def test_numbers_that_move_no_arm_are_no_plan_and_must_be_finite_all_the_same():
    layout = VectorLayout("free", ("a", "b"), ("?", "?"), (-5.0, -5.0), (5.0, 5.0))
    reader = PlanReader(layout, 0.1, RIG)
    assert reader.chunk(np.zeros((4, 2)), 0) is None
    with pytest.raises(PolicyError, match="b of step 1 is inf"):
        reader.chunk(np.array([[0.0, 0.0], [0.0, np.inf]]), 0)
