"""Tests for files/given_file.py: read whole within a size, or refused by name, and at once."""

import os

import pytest

from carp_ros.files.given_file import given_bytes, given_text


def test_a_file_at_the_limit_is_read_and_one_beyond_is_refused_with_its_size(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"x" * 10)
    assert given_bytes(path, 10) == b"x" * 10
    with pytest.raises(ValueError, match=r"a\.yaml has 10 bytes; expected at most 9"):
        given_bytes(path, 9)


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "device"])
def test_what_is_no_file_is_refused_by_name_without_waiting(tmp_path, kind):
    path = tmp_path / "a.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"a\.yaml: "):
        given_bytes(path, 10)


def test_a_byte_that_is_no_utf_8_is_told_with_its_place(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match=r"a\.yaml has the byte 0xff at 2; expected UTF-8"):
        given_text(path)
