import subprocess
import sys

import pytest

from carp_ros.cli import check
from carp_ros.cli.check import Check, CheckCommand, Finding, main
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.runtimes import Choice


def looked(name: str, remedy: str = "", needed_for: str = "") -> Check:
    return Check(name, lambda: Finding("found", remedy), needed_for)


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (looked("python"), 0),
        (looked("mouse", "plug one in", needed_for="teleoperation"), 0),
        (looked("ROS 2", "install it"), 1),
    ],
)
def test_only_what_nothing_runs_without_fails_the_check(made, code, monkeypatch, capsys):
    monkeypatch.setattr(check, "CHECKS", (looked("first"), made))
    assert main(CheckCommand()) == code
    printed = capsys.readouterr().out
    assert ("MISSING" in printed) == (code == 1)
    assert made.look().remedy in printed


def test_two_ros_installs_on_one_path_are_named(monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{sys.prefix}:/opt/ros/jazzy")
    assert "/opt/ros/jazzy" in check.one_ros().remedy


def test_an_installed_ros_alone_is_fine(monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/opt/ros/jazzy")
    assert not check.one_ros().remedy


def test_a_full_shared_memory_is_a_finding(monkeypatch):
    monkeypatch.setattr(check, "IMAGES_SEGMENT_MB", 10**9)
    assert "shm-size" in check.shared_memory().remedy


def test_the_runtime_comes_with_what_is_against_faster_ones(monkeypatch):
    choice = Choice("cpu", OnnxRuntime(), ("not rtx: no GPU", "not cuda: no GPU"))
    monkeypatch.setattr(check, "choose_runtime", lambda: choice)
    assert check.runtime() == Finding("cpu", "not rtx: no GPU; not cuda: no GPU")


@pytest.mark.realtime
def test_a_machine_that_runs_these_tests_starts_a_node():
    assert check.ros() == Finding("a node starts")


def test_a_look_that_crashes_tells_its_last_line():
    code = "import os, sys; print('no driver', file=sys.stderr, flush=True); os.abort()"
    assert check._try(code, "install one") == Finding("no driver", "install one")


def test_a_machine_that_can_not_draw_is_told_what_to_install():
    code = "from carp_ros.sim.opengl import renderer_name; renderer_name()"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"MUJOCO_GL": "disable", "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1"},
        capture_output=True,
        text=True,
        cwd=".",
    )
    assert "apt-get install libegl1" in run.stderr
