"""Tests for inference/prompt.py."""

import numpy as np
import pytest

from carp_ros.inference.prompt import WordPrompts, bins, prompt


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


class Spelling:
    """A vocabulary that spells everything, as published ones spell numbers."""

    begin = (1000,)

    def tokens(self, text):
        return [1 + byte for byte in text.encode()]


def test_numbers_of_any_length_have_their_places_in_prompts_of_one_length():
    prompts = WordPrompts(Spelling(), 60, 2)
    asked = np.stack([prompts.instruction("put it there"), prompts.instruction("go")])
    made = prompts.prompts(asked, np.array([[-1.0, 1.0], [0.0, -0.9]]))
    assert made.shape == (2, 60)
    texts = [bytes(token - 1 for token in row[1:] if token).decode() for row in made.tolist()]
    assert texts == [prompt("put it there", [-1.0, 1.0]), prompt("go", [0.0, -0.9])]
    assert (made[:, 0] == 1000).all()


def test_a_prompt_into_which_nothing_but_the_state_fits_is_refused():
    with pytest.raises(ValueError, match=r"a prompt has 25 tokens; expected at least 3\d, with a"):
        WordPrompts(Spelling(), 25, 2)


def test_an_instruction_that_is_too_long_is_cut():
    prompts = WordPrompts(Spelling(), 40, 2)
    assert len(prompts.instruction("put " * 100)) == prompts.longest
    prompts.require_whole("put it")
    with pytest.raises(ValueError, match=r"which is 401 tokens; expected \d+ at most"):
        prompts.require_whole("put " * 100)
