"""Tests for inference/prompt.py."""

import pytest

from carp_ros.inference.prompt import bins, prompt


def test_the_prompt_is_that_of_the_paper():
    assert prompt("put the cup on the field", [-1.0, 0.0, 0.999]) == (
        "Task: put the cup on the field, State: 0 128 255;\nAction: "
    )


@pytest.mark.parametrize(
    ("scaled", "number"),
    [(-1.0, 0), (-1.5, 0), (-1e9, 0), (1.0, 255), (7.0, 255), (0.0, 128), (0.992, 254)],
)
def test_numbers_out_of_range_take_the_outermost_bins(scaled, number):
    assert bins([scaled]) == [number]
