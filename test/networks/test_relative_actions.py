import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'carp_ros[train]'")

from carp_ros.geometry import quaternion_from_rotvec, quaternion_multiply  # noqa: E402
from carp_ros.inference.layout import vector_from_tcp_pose  # noqa: E402
from carp_ros.networks.relative_actions import absolute, relative  # noqa: E402
from carp_ros.types import Pose  # noqa: E402


def vectors(*shape: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    tools = [
        vector_from_tcp_pose(
            Pose(rng.normal(size=3), quaternion_from_rotvec(rng.normal(size=3))), 0.3
        )
        for _ in range(int(np.prod(shape)))
    ]
    return torch.from_numpy(np.array(tools)).reshape(*shape, 10)


def test_there_and_back_is_where_it_began():
    actions, states = vectors(4, 5), vectors(4)
    torch.testing.assert_close(absolute(relative(actions, states), states), actions)


def test_where_the_tool_is_is_nothing_and_the_gripper_stays():
    states = vectors(3)
    here = relative(states[:, None], states)
    expected = torch.tensor([0.0, 0, 0, 1, 0, 0, 0, 1, 0, 0.3], dtype=torch.float64)
    torch.testing.assert_close(here, expected.expand(3, 1, 10))


def test_a_turn_of_what_is_seen_is_that_of_the_base_frame():
    down = vector_from_tcp_pose(
        Pose(np.zeros(3), quaternion_from_rotvec(np.array([np.pi, 0, 0]))), 0.0
    )
    turn = quaternion_from_rotvec(np.array([0.0, 0.0, 0.3]))
    turned = Pose(
        np.zeros(3), quaternion_multiply(turn, quaternion_from_rotvec(np.array([np.pi, 0, 0])))
    )
    seen = relative(
        torch.from_numpy(vector_from_tcp_pose(turned, 0.0))[None, None],
        torch.from_numpy(down)[None],
    )
    expected = vector_from_tcp_pose(Pose(np.zeros(3), turn), 0.0)
    torch.testing.assert_close(seen[0, 0], torch.from_numpy(expected))
