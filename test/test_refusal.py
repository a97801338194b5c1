"""Tests for refusal.py: whatever is raised about one input is one line that names it."""

import errno
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from carp_ros.errors import EpisodeError
from carp_ros.refusal import in_words, named, printable, refusing, shortened


@pytest.mark.parametrize(
    "error",
    [KeyError("stamp"), TypeError("x\ny"), RecursionError(), MemoryError(), OSError(2, "no")],
)
def test_what_a_library_raises_becomes_one_line_that_names_the_input(error):
    with (
        pytest.raises(EpisodeError, match=r"^bag: /chunk: ") as info,
        refusing(EpisodeError, "bag: /chunk"),
    ):
        raise error
    assert "\n" not in str(info.value)
    assert info.value.__cause__ is error


def test_a_refusal_that_names_its_input_already_stays_as_it_is():
    with pytest.raises(ValueError, match=r"^a\.yaml: wrong$"), refusing(ValueError, "a.yaml"):
        raise ValueError("a.yaml: wrong")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EIO])
def test_a_failure_of_the_machine_is_no_refusal(number):
    with pytest.raises(OSError, match="machine"), refusing(ValueError, "a.yaml"):
        raise OSError(number, "machine")


def test_an_interrupt_is_no_refusal():
    with pytest.raises(KeyboardInterrupt), refusing(ValueError, "a.yaml"):
        raise KeyboardInterrupt


@given(text=st.text(), most=st.integers(20, 400))
def test_words_are_never_long_and_never_two_lines(text, most):
    assert len(shortened(text, most)) <= max(most, min(len(text), most))
    assert in_words(ValueError(text)).isprintable()
    assert len(in_words(ValueError(text))) <= 300


@given(name=st.text(), said=st.text(min_size=1))
@example(name="a\nb\x1b[2J", said="x\u202ey")
def test_whatever_an_input_is_called_and_whatever_is_said_a_refusal_prints_in_one_line(name, said):
    for kind in (ValueError, TypeError, EpisodeError):
        with pytest.raises(EpisodeError) as info, refusing(EpisodeError, f"bag {name}"):
            raise kind(said)
        assert str(info.value).isprintable()
        assert str(info.value).startswith(printable(f"bag {name}: "))


@given(text=st.text())
def test_what_prints_stays_as_it_is_and_the_rest_is_written_out(text):
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)
    assert named(Path("a", "b\n\u202e", "é🤖 c")) == r"a/b\n\u202e/é🤖 c"
