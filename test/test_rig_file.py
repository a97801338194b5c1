"""Tests for rig_file.py: a rig file is parsed once a system, and all processes run on that."""

import re
from pathlib import Path

import pytest

from carp_ros.rig import load_rig
from carp_ros.rig_file import RIG_CONTENT
from carp_ros.share import share_folder
from carp_ros.system.bringup import describe

RIGS = sorted((share_folder() / "config").glob("*.yaml"))


@pytest.fixture(params=RIGS, ids=lambda path: path.stem)
def path(request, tmp_path):
    copy = tmp_path / request.param.name
    copy.write_text(request.param.read_text(encoding="utf-8"), encoding="utf-8")
    return copy


def pass_on(rig, monkeypatch):
    """Put what a system passes on to its processes in the environment."""
    for name, value in rig.file.environment.items():
        monkeypatch.setenv(name, value)


def test_what_is_passed_on_is_the_same_rig_and_the_file_is_not_read_again(path, monkeypatch):
    rig = load_rig(path)
    pass_on(rig, monkeypatch)
    for text in (path.read_text().replace("0.25", "0.2"), "no: [yaml"):
        path.write_text(text, encoding="utf-8")
        again = load_rig(path, rig.file.sha256)
        assert again == rig
        assert again.file == rig.file
    path.unlink()
    assert load_rig(path, rig.file.sha256) == rig


def test_only_the_content_with_the_systems_hash_is_taken(path, monkeypatch):
    rig = load_rig(path)
    pass_on(rig, monkeypatch)
    for passed_on in ("", "{}", "no json", rig.file.environment[RIG_CONTENT] + " "):
        monkeypatch.setenv(RIG_CONTENT, passed_on)
        assert load_rig(path, rig.file.sha256) == rig  # from the file, which has that hash

    path.write_text(
        re.sub(r"max_linear_speed_m_s: \S+", "max_linear_speed_m_s: 0.2", path.read_text())
    )
    with pytest.raises(
        ValueError,
        match=r"\.yaml has SHA-256 .* changed since, or its cal.* Stop the whole",
    ):
        load_rig(path, rig.file.sha256)


def test_who_asks_for_no_hash_gets_what_the_file_says_now(path, monkeypatch):
    pass_on(load_rig(path), monkeypatch)
    path.write_text(path.read_text().replace("home_joints_rad", "nowhere"), encoding="utf-8")
    with pytest.raises(ValueError, match="nowhere"):
        load_rig(path)


def test_a_comment_makes_no_other_rig(path):
    before = load_rig(path).file.sha256
    path.write_text(path.read_text() + "# slower\n", encoding="utf-8")
    assert load_rig(path).file.sha256 == before


def test_every_process_of_a_system_is_given_the_content_and_its_hash(path, monkeypatch):
    read: list[Path] = []
    monkeypatch.setattr("carp_ros.rig_file.given_text", lambda p: read.append(p) or p.read_text())
    nodes = describe(str(path))
    assert read == [path]
    for node in nodes:
        with monkeypatch.context() as patch:
            for name, value in node.environment.items():
                patch.setenv(name, value)
            load_rig(Path(str(node.parameters["rig"])), str(node.parameters["rig_sha256"]))
    assert read == [path]


def test_a_rig_that_its_policy_was_trained_on_is_not_read_again(monkeypatch):
    read: list[Path] = []
    monkeypatch.setattr("carp_ros.rig_file.given_text", lambda p: read.append(p) or p.read_text())
    describe("ur5e_sim", "policy", task="cup")
    assert [path.name for path in read] == ["ur5e_sim.yaml"]
