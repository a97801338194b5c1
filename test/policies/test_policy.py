"""Tests for policies/policy.py: numbers beyond training are named."""

import numpy as np

from carp_ros.inference.layout import TOOL
from carp_ros.policies.policy import beyond_training


def test_a_state_far_beyond_training_is_named_and_one_a_little_beyond_is_not():
    low, high = np.zeros(10), np.full(10, 0.5)
    layout = TOOL.spanning(low, high)
    state = np.full(10, 0.25)
    state[0] = 0.54
    assert beyond_training(state, layout) == ()
    state[0] = 0.56
    assert beyond_training(state, layout) == ("x is 0.560; training saw 0.000 to 0.500",)


def test_a_range_of_no_width_grants_two_centimetres():
    layout = TOOL.spanning((0.3,) * 10, (0.3,) * 10)
    state = np.full(10, 0.3)
    state[1] = 0.315
    assert beyond_training(state, layout) == ()
    state[1] = 0.325
    assert beyond_training(state, layout) == ("y is 0.325; training saw 0.300 to 0.300",)
