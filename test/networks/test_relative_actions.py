import pytest

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'carp_ros[train]'")

from carp_ros.networks.relative_actions import absolute, relative  # noqa: E402


def test_there_and_back_is_where_it_began():
    actions, states = torch.randn(4, 5, 10), torch.randn(4, 10)
    torch.testing.assert_close(absolute(relative(actions, states), states), actions)


def test_where_the_tool_is_is_nothing_and_rotation_and_gripper_stay():
    states = torch.randn(3, 10)
    here = relative(states[:, None], states)[:, 0]
    assert not here[:, :3].any()
    assert torch.equal(here[:, 3:], states[:, 3:])
