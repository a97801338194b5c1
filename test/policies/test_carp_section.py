"""Tests for policies/carp_section.py: a CARP bundle has the graphs of the scales it names."""

import pytest

from carp_ros.inference.bundle import load_bundle
from carp_ros.policies.carp_section import carp_section

from ..tiny_bundle import manifest, write_manifest, write_tiny_bundle


@pytest.fixture
def folder(tmp_path):
    return write_tiny_bundle(tmp_path / "tiny")


def section_of(folder, content):
    write_manifest(folder, content)
    return carp_section(load_bundle(folder))


def test_the_section_says_which_scales_there_are(folder):
    assert section_of(folder, manifest(folder)).scales == (1, 2, 4)


def test_a_missing_graph_is_refused(folder):
    content = manifest(folder)
    del content["graphs"]["scale_1"]
    with pytest.raises(
        ValueError, match=r"expected vision_wrist_cam, .*, scale_1, scale_2, decoder: export again"
    ):
        section_of(folder, content)


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"scales": [1, 2]}, "graphs are .*; expected .* scale_0, scale_1, decoder: export again"),
        ({"scales": []}, r"carp: scales is \[\]; expected 1 to 32 of them"),
        ({"scales": [0, 2, 4]}, r"carp: scales is \[0, 2, 4\]; expected 1 to 128"),
        ({}, "carp: key 'scales' is missing"),
        ({"scales": [1, 2, 4], "blocks": 3}, "carp: unknown key 'blocks'"),
    ],
)
def test_a_section_that_is_not_of_the_graphs_is_refused(folder, section, reason):
    with pytest.raises(ValueError, match=reason):
        section_of(folder, manifest(folder) | {"carp": section})
