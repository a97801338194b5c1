"""Tests for inference/words.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.inference.words import PADDING, Words, words_of

WORDS = words_of(["Put the red cup on the green field.", "put it there"], 4)


def test_known_words_are_one_token_each_in_either_case():
    ids = WORDS.tokens("PUT the red Cup, 3")
    assert len(ids) == 6
    assert ids[:4] == [257 + WORDS.words.index(word) for word in ("put", "the", "red", "cup")]
    assert ids[4] == 1 + ord(",")  # no sentence had one
    assert ids[5] == 257 + 3


def test_unknown_words_are_their_bytes():
    assert WORDS.tokens("mug") == [1 + byte for byte in b"mug"]
    assert WORDS.tokens("füße") == [1 + byte for byte in "füße".encode()]


@given(st.text(max_size=50))
def test_any_text_has_tokens_within_the_vocabulary(text):
    ids = WORDS.tokens(text)
    assert all(PADDING < token < len(WORDS) for token in ids)


def test_the_order_of_sentences_makes_no_difference():
    assert words_of(["put it there", "Put the red cup on the green field."], 4) == WORDS


def test_a_word_twice_is_refused():
    with pytest.raises(ValueError, match="a word is there twice"):
        Words(("cup", "cup"))
