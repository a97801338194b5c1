"""Tests for bench/faster_blocks.py."""

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from bench.faster_blocks import measure


def test_a_level_at_once_takes_a_seventh_of_the_passes(tmp_path):
    found = measure(tmp_path, plans=2, threads=1)
    assert {way: of_way["passes"] for way, of_way in found.items()} == {"a level": 3, "a token": 21}
    stages = {"preprocess", "vision", "context", "decode", "total"}
    assert all(of_way["ms"].keys() == stages for of_way in found.values())
