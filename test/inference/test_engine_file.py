"""An engine is used for exactly what it was built from and for, or refused with the reason."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.inference.engine_file import EngineKey, read_engine, write_engine

KEY = EngineKey("scale_0", "ab" * 32, "8.6", "tensorrt_rtx 1.7.1.116", "half")
OTHERS = {
    "graph": "scale_1",
    "sha256": "cd" * 32,
    "capability": "7.5",
    "library": "tensorrt_rtx 1.8.0.2",
    "precision": "single",
}


@given(content=st.binary(max_size=300))
def test_what_was_written_is_read(content, tmp_path_factory):
    path = write_engine(tmp_path_factory.mktemp("engines"), KEY, content)
    assert read_engine(path, KEY) == content


@pytest.mark.parametrize("name", OTHERS)
def test_an_engine_of_anything_else_is_refused_with_what_differs(name, tmp_path):
    path = write_engine(tmp_path, KEY, b"machine code")
    wanted = dataclasses.replace(KEY, **{name: OTHERS[name]})
    with pytest.raises(ValueError, match=f"built for {name} {getattr(KEY, name)}; expected") as e:
        read_engine(path, wanted)
    assert OTHERS[name] in str(e.value)
    assert "delete it" in str(e.value)
    assert wanted.file_name != KEY.file_name


@given(cut=st.integers(0, 10**9))
def test_an_engine_that_is_cut_short_is_refused(cut, tmp_path_factory):
    path = write_engine(tmp_path_factory.mktemp("engines"), KEY, b"machine code" * 20)
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % len(whole)])
    with pytest.raises(ValueError, match="delete it"):
        read_engine(path, KEY)


@pytest.mark.parametrize("content", [b"", b"\x00\xff\n", b"[1]\n", b"{}\n", b'{"graph": 1}\nx'])
def test_what_is_no_engine_is_refused(content, tmp_path):
    path = tmp_path / "some.engine"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not an engine that carp_ros wrote"):
        read_engine(path, KEY)
