"""What each frame's arm is about to do."""

import dataclasses

import numpy as np
import pytest

from carp_ros.inference.layout import Layout
from carp_ros.training.aims import aims
from carp_ros.training.windows import Windows


def windows(episodes, gripper) -> Windows:
    count = len(episodes)
    actions = np.zeros((count, 4, 10), np.float32)
    actions[:, 0, -1] = gripper
    none = np.zeros(count, np.int64)
    return Windows(actions[:, 0], actions, none, np.array(episodes, np.int64), ("task",))


def test_it_is_the_next_change_and_then_the_end():
    data = windows([0] * 7 + [1] * 3, [0, 0, 1, 1, 1, 0, 0, 1, 1, 1])
    assert aims(data).tolist() == [2, 2, 5, 5, 5, 6, 6, 9, 9, 9]


def test_one_frame_is_its_own_aim():
    assert aims(windows([4], [1.0])).tolist() == [0]


@pytest.mark.parametrize("seed", range(20))
def test_no_aim_lies_in_another_episode_or_in_the_past(seed):
    rng = np.random.default_rng(seed)
    episodes = np.sort(rng.integers(0, 6, 60))
    gripper = rng.integers(0, 2, 60).astype(np.float32)
    found = aims(windows(episodes, gripper))
    for frame, aim in enumerate(found.tolist()):
        last = int(np.flatnonzero(episodes == episodes[frame])[-1])
        later = [at for at in range(frame + 1, last + 1) if gripper[at] != gripper[at - 1]]
        assert aim == min([*later, last])


def test_without_a_gripper_it_is_the_end():
    data = windows([0, 0, 0, 1, 1], [0, 1, 0, 1, 0])
    names = tuple(f"n{i}" for i in range(10))
    free = dataclasses.replace(data, action=Layout("free", names, ("?",) * 10))
    assert aims(free).tolist() == [2, 2, 2, 4, 4]
