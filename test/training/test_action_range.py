import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros.training.action_range import constant_dimensions, require_range  # noqa: E402

from .small_world import make_network, make_world  # noqa: E402


def with_gripper(closure):
    data, _ = make_world()
    actions = data.actions.copy()
    actions[..., 9] = closure
    return dataclasses.replace(data, actions=actions)


def test_a_number_that_never_changes_is_named():
    still, moving = with_gripper(0.0), make_world()[0]
    assert "gripper" in constant_dimensions(make_network(still).tokenizer, still)
    assert "gripper" not in constant_dimensions(make_network(moving).tokenizer, moving)


def test_actions_that_move_what_the_tokenizer_never_saw_move_are_refused_by_name():
    still, moving = with_gripper(0.0), make_world()[0]
    require_range(make_network(still).tokenizer, still)
    require_range(make_network(moving).tokenizer, still)
    with pytest.raises(ValueError, match=r"gripper of the actions is 0 to 1, but never changed"):
        require_range(make_network(still).tokenizer, moving)
    assert np.ptp(moving.actions[..., 9]) == 1.0
