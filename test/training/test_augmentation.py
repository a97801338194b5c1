import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

import torch

from carp_ros.inference.layout import TOOL
from carp_ros.training.augmentation import ColourJitter, StateNoise


def test_a_state_is_moved_in_its_pose_alone_and_the_dataset_stays():
    states = np.zeros((500, 10), np.float32)
    moved = StateNoise(0.01, 0.1).applied(states, np.random.default_rng(0), TOOL)
    assert not states.any()
    np.testing.assert_allclose(moved[:, :3].std(), 0.01, rtol=0.1)
    np.testing.assert_allclose(moved[:, 3:9].std(), 0.1, rtol=0.1)
    assert not moved[:, 9].any()


def test_without_noise_it_is_the_measured_one():
    states = np.ones((2, 10), np.float32)
    assert StateNoise().applied(states, np.random.default_rng(0), TOOL) is states


def test_light_is_changed_of_whole_images_and_a_rank_sees_its_part_of_the_same():
    images = {"wrist": torch.rand(6, 3, 4, 5) * 2 - 1}
    jitter = ColourJitter(contrast=0.2, brightness=0.1, tint=0.05)
    changed = jitter.applied(images, 6, slice(0, 6), np.random.default_rng(0))["wrist"]
    part = {"wrist": images["wrist"][2:4]}
    again = jitter.applied(part, 6, slice(2, 4), np.random.default_rng(0))["wrist"]
    torch.testing.assert_close(again, changed[2:4])
    for before, after in zip(images["wrist"].flatten(0, 1), changed.flatten(0, 1)):
        gain, offset = np.polyfit(before.flatten(), after.flatten(), 1)
        np.testing.assert_allclose(after, gain * before + offset, atol=1e-5)


def test_without_jitter_images_are_the_given_ones():
    images = {"wrist": torch.rand(2, 3, 4, 5)}
    assert ColourJitter().applied(images, 2, slice(0, 2), np.random.default_rng(0)) is images
