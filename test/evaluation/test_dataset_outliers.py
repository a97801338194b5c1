import numpy as np
import pytest

from carp_ros.evaluation.dataset_outliers import odd_gripper, odd_length, odd_motion


def frames(x, lead_m: float = 0.02) -> dict[str, np.ndarray]:
    """Return an episode whose tool goes along x, its target ahead of it."""
    state = np.zeros((len(x), 10), np.float32)
    state[:, 0] = x
    action = state.copy()
    action[:, 0] += lead_m
    action[-1, 9] = 1.0
    return {"observation.state": state, "action": action}


def test_an_ordinary_episode_is_not_odd():
    columns = frames(np.linspace(0.3, 0.6, 30))
    assert [
        *odd_motion(columns, 10),
        *odd_gripper(columns),
        *odd_length(3.0, [2.8, 3.0, 3.1]),
    ] == []


@pytest.mark.parametrize(("length_s", "odd"), [(3.8, False), (6.0, True), (1.0, True)])
def test_lengths_are_odd_that_are_far_from_most(length_s, odd):
    lengths_s = [3.0, 3.1, 3.2, 3.3, 3.1, 3.0, length_s]
    assert bool(odd_length(length_s, lengths_s)) == odd


def test_equal_lengths_do_not_make_a_little_longer_one_odd():
    assert odd_length(3.1, [3.0] * 9 + [3.1]) == []


def test_a_jump_is_told_with_its_time():
    x = np.linspace(0.3, 0.4, 30)
    x[12:] += 0.2
    assert odd_motion(frames(x), 10) == ["tool jumped 0.20 m within a frame at 1.1 s"]


def test_a_tool_that_hardly_moves_is_told():
    assert odd_motion(frames(np.linspace(0.3, 0.302, 30)), 10) == ["tool moved 2 mm in all"]


def test_a_target_far_ahead_is_told():
    (reason,) = odd_motion(frames(np.linspace(0.3, 0.6, 30), lead_m=0.2), 10)
    assert reason.startswith("target 0.20 m from the tool at ")


def test_a_gripper_that_never_closes_is_told():
    columns = frames(np.linspace(0.3, 0.6, 30))
    columns["action"][:, 9] = 0.3
    assert odd_gripper(columns) == ["gripper never closed"]


def test_an_episode_of_one_frame_is_looked_at_too():
    assert odd_motion(frames([0.3]), 10) == ["tool moved 0 mm in all"]
