"""Tests for files/plain_yaml.py: numbers are numbers, keys stand once, and nothing unfolds."""

import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.files.plain_yaml import mapping_from_yaml, yaml_from_mapping

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(content=st.dictionaries(st.text("abcdefg", min_size=1), PLAIN, max_size=4))
def test_what_is_written_is_read_as_it_was(content):
    assert mapping_from_yaml(yaml_from_mapping(content), "file") == content


@given(text=st.from_regex(r"\A[-+.0-9eE_:]{1,6}\Z"))
def test_a_text_that_looks_like_a_number_stays_a_text_for_every_reader(text):
    written = yaml_from_mapping({"serial": text})
    assert mapping_from_yaml(written, "file") == {"serial": text}
    assert yaml.safe_load(written) == {"serial": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0),
        ("-5E-2", -0.05),
        (".5", 0.5),
        ("010", 10),
        ("1:30", "1:30"),
        (".inf", math.inf),
    ],
)
def test_a_number_is_read_as_people_mean_it(text, value):
    assert mapping_from_yaml(f"a: {text}", "file") == {"a": value}


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands twice"),
        ("a: " + "9" * 5000, "line 1: a whole number of 5000 digits"),
        ("a: " + "[" * 5000 + "]" * 5000, "more than 50 levels"),
        (bomb(), "more than 100000 values"),
        ("a: &a [*a]", "refers to itself"),
        ("a: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("a: 2026-13-45", "is not YAML"),
        ("a: \x00", "is not YAML"),
        ("- 1", "holds list; expected keys and values"),
    ],
)
def test_what_is_dangerous_or_ambiguous_is_refused_in_one_line(text, reason):
    with pytest.raises(ValueError, match=r"^file ") as info:
        mapping_from_yaml(text, "file")
    assert reason in str(info.value)
    assert "\n" not in str(info.value)
