import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.geometry import rotation_between
from carp_ros.inference.layout import (
    TOOL,
    TOOL_AND_WRENCH,
    Layout,
    tcp_pose_from_vector,
    vector_from_tcp_pose,
)
from carp_ros.strict import read_strictly
from carp_ros.types import Pose

metres = st.floats(-2.0, 2.0)
quaternions = (
    st.tuples(*[st.floats(-1.0, 1.0)] * 4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)


@given(st.tuples(metres, metres, metres), quaternions, st.floats(0.0, 1.0))
def test_a_vector_gives_back_the_tool_it_was_made_of(position, quaternion, gripper):
    vector = vector_from_tcp_pose(Pose(np.array(position), quaternion), gripper)
    assert vector.shape == (len(TOOL),)
    tool, closure = tcp_pose_from_vector(vector)
    assert tool.position.tolist() == list(position)
    assert closure == gripper
    assert np.linalg.norm(rotation_between(quaternion, tool.quaternion)) < 1e-7


def test_a_pose_that_points_down_stands_as_the_axes_of_its_frame():
    down = vector_from_tcp_pose(
        Pose(np.array([0.5, 0.1, 0.3]), np.array([1.0, 0.0, 0.0, 0.0])), 1.0
    )
    assert down.tolist() == [0.5, 0.1, 0.3, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0]


def test_what_a_network_says_in_single_precision_is_taken_too():
    vector = np.array([0.5, 0.1, 0.3, 2.0, 0.0, 0.0, 0.3, 0.5, 0.0, 0.25], np.float32)
    tool, gripper = tcp_pose_from_vector(vector)
    assert tool.position.dtype == tool.quaternion.dtype == np.float64
    np.testing.assert_allclose(tool.quaternion, [0.0, 0.0, 0.0, 1.0], atol=1e-12)
    assert gripper == 0.25


def test_a_tool_s_numbers_may_end_with_its_wrench_and_with_nothing_else():
    assert (TOOL.has_wrench, TOOL_AND_WRENCH.has_wrench) == (False, True)
    assert TOOL_AND_WRENCH.names[:10] == TOOL.names
    assert not any(TOOL_AND_WRENCH.is_rotation[10:])
    content = {"kind": "tool", "names": [*TOOL_AND_WRENCH.names], "units": [*TOOL_AND_WRENCH.units]}
    assert read_strictly(Layout, content, "state") == TOOL_AND_WRENCH
    for cut in range(11, 16):
        half = {**content, "names": content["names"][:cut], "units": content["units"][:cut]}
        with pytest.raises(ValueError, match="in a state perhaps"):
            read_strictly(Layout, half, "state")
