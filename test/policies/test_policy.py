import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.errors import PolicyError
from carp_ros.geometry import quaternion_from_rotvec, rotation_between
from carp_ros.inference.bundle import VectorLayout
from carp_ros.inference.layout import NAMES, UNITS, vector_from_tool
from carp_ros.policies.policy import beyond_training, chunk_from_actions
from carp_ros.types import Pose


def actions(steps=4):
    tool = Pose(np.array([0.4, 0.0, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))
    return np.tile(vector_from_tool(tool, 0.5), (steps, 1))


@given(st.tuples(*[st.floats(-3.0, 3.0)] * 3), st.floats(0.1, 10.0), st.floats(0.1, 10.0))
def test_rotations_come_back_whatever_length_their_columns_have(rotvec, first, second):
    quaternion = quaternion_from_rotvec(np.array(rotvec))
    row = vector_from_tool(Pose(np.zeros(3), quaternion), 0.0)
    row[3:6] *= first
    row[6:9] *= second
    chunk = chunk_from_actions(row[None], 0, 0.1)
    assert np.linalg.norm(rotation_between(chunk.quaternions[0], quaternion)) < 1e-6


def test_each_step_is_due_its_number_of_steps_after_the_observation():
    chunk = chunk_from_actions(actions(4), 7_000, 0.1)
    assert chunk.stamp_ns == 7_000
    assert (chunk.times_ns - 7_000).tolist() == [0, 100_000_000, 200_000_000, 300_000_000]


def test_the_gripper_is_clipped():
    wild = actions(3)
    wild[:, 9] = [-0.2, 0.4, 1.3]
    assert chunk_from_actions(wild, 0, 0.1).gripper.tolist() == [0.0, 0.4, 1.0]


def test_a_number_that_is_none_is_refused_with_its_place():
    wild = actions()
    wild[2, 1] = np.nan
    with pytest.raises(PolicyError, match=r"action 1 of step 2 is nan"):
        chunk_from_actions(wild, 0, 0.1)


@pytest.mark.parametrize("columns", [[0.0] * 6, [1, 0, 0, 0, 0, 0], [1, 0, 0, -2, 0, 0]])
def test_columns_that_name_no_rotation_are_refused(columns):
    wild = actions()
    wild[3, 3:9] = columns
    with pytest.raises(PolicyError, match=r"rot6d of step 3 is .*name no rotation"):
        chunk_from_actions(wild, 0, 0.1)


def test_a_state_far_beyond_training_is_named_and_one_a_little_beyond_is_not():
    low, high = np.zeros(10), np.full(10, 0.5)
    layout = VectorLayout(NAMES, UNITS, "base", tuple(low), tuple(high))
    state = np.full(10, 0.25)
    state[0] = 0.54
    assert beyond_training(state, layout) == ()
    state[0] = 0.56
    assert beyond_training(state, layout) == ("x is 0.560, in training 0.000 to 0.500",)


def test_a_range_of_no_width_grants_two_centimetres():
    layout = VectorLayout(NAMES, UNITS, "base", (0.3,) * 10, (0.3,) * 10)
    state = np.full(10, 0.3)
    state[1] = 0.315
    assert beyond_training(state, layout) == ()
    state[1] = 0.325
    assert beyond_training(state, layout) == ("y is 0.325, in training 0.300 to 0.300",)
