import numpy as np

from carp_ros.training.augmentation import StateNoise


def test_a_state_is_moved_in_its_pose_alone_and_the_dataset_stays():
    states = np.zeros((500, 10), np.float32)
    moved = StateNoise(0.01, 0.1).moved(states, np.random.default_rng(0))
    assert not states.any()
    np.testing.assert_allclose(moved[:, :3].std(), 0.01, rtol=0.1)
    np.testing.assert_allclose(moved[:, 3:9].std(), 0.1, rtol=0.1)
    assert not moved[:, 9].any()


def test_without_noise_it_is_the_measured_one():
    states = np.ones((2, 10), np.float32)
    assert StateNoise().moved(states, np.random.default_rng(0)) is states
