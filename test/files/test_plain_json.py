import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.files.plain_json import load_json, mapping_from_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES))
def test_what_was_written_is_read(content):
    assert mapping_from_json(json.dumps(content), "here") == content


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": NaN}', "the number NaN; expected finite"),
        ('{"a": [-Infinity]}', "the number -Infinity"),
        ('{"a": {"b": 1, "b": 2}}', "the key 'b' stands twice"),
        ('{"a": ', "line 1: Expecting value"),
        ("[1]", "holds list; expected keys"),
        ('{"a":' + "[" * 60 + "]" * 60 + "}", "more than 50 levels"),
        ('{"a":' + "[" * 10**5, "RecursionError"),
        ('{"a": ' + "9" * 10**4 + "}", "Exceeds the limit"),
    ],
)
def test_what_is_no_plain_json_is_refused_with_its_place(text, problem):
    with pytest.raises(ValueError, match=f"^here .*{problem}"):
        mapping_from_json(text, "here")


def test_a_file_is_named(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"a\.json has the byte 0xff at 0; expected UTF-8"):
        load_json(tmp_path / "a.json")
