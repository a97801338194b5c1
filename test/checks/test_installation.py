"""Tests for checks/installation.py."""

import os
import shutil
import subprocess
import sys

import pytest

from carp_ros.checks import installation as check
from carp_ros.checks.probe import CheckResult
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.rig import ServoConfig
from carp_ros.runtimes import ChosenRuntime
from carp_ros.share import share_folder


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
    choice = ChosenRuntime("cpu", OnnxRuntime(), ("not rtx: no GPU", "not cuda: no GPU"))
    monkeypatch.setattr(check, "choose_runtime", lambda: choice)
    assert check.runtime() == CheckResult("cpu", "not rtx: no GPU; not cuda: no GPU")


@pytest.mark.realtime
def test_a_machine_that_runs_these_tests_starts_a_node():
    assert check.ros() == CheckResult("a node starts")


def test_a_look_that_crashes_tells_its_last_line():
    code = "import os, sys; print('no driver', file=sys.stderr, flush=True); os.abort()"
    assert check._try(code, "install one") == CheckResult("no driver", "install one")


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


def test_a_ros_that_is_missing_and_one_that_does_not_start_have_remedies_of_their_own():
    missing = f"import sys; print('no rclpy', file=sys.stderr); sys.exit({check._NOT_INSTALLED})"
    broken = "raise RuntimeError('no middleware')"
    assert check._try(missing, "look", "install") == CheckResult("no rclpy", "install")
    assert check._try(broken, "look", "install") == CheckResult(
        "RuntimeError: no middleware", "look"
    )


def test_settings_of_fast_dds_that_it_cannot_read_are_a_finding(tmp_path, monkeypatch):
    for content in (None, "<dds>"):
        path = tmp_path / "mine.xml"
        if content:
            path.write_text(content, encoding="utf-8")
        monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", str(path))
        assert "unset FASTRTPS_DEFAULT_PROFILES_FILE" in check.dds_profile().remedy


@pytest.mark.parametrize(
    ("name", "said"),
    [("fastdds.xml", "this machine alone"), ("fastdds_network.xml", "other machines")],
)
def test_who_may_reach_the_system_is_said(name, said, monkeypatch):
    path = share_folder() / "config" / name
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", str(path))
    assert check.dds_profile() == CheckResult(f"{name}: {said}")


def test_a_bundle_with_another_file_than_its_manifest_names_is_a_finding(tmp_path, monkeypatch):
    models = tmp_path / "models"
    shutil.copytree(share_folder() / "models" / "carp_cup_sim", models / "carp_cup_sim")
    monkeypatch.setattr(check, "share_folder", lambda: tmp_path)
    assert check.models() == CheckResult("carp_cup_sim")
    (weights,) = models.glob("*/*weights*")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert "is not whole" in check.models().found


def test_the_package_of_another_checkout_is_a_finding(tmp_path, monkeypatch):
    (tmp_path / "package.xml").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert "makes .venv anew" in check.environment().remedy


def test_a_full_disk_is_a_finding(monkeypatch):
    monkeypatch.setattr(check, "LEAST_FREE_GB", 10**9)
    assert check.folders().remedy


def test_a_machine_that_draws_draws_the_right_colour():
    assert not check.rendering().remedy


def test_a_look_that_is_killed_without_a_word_is_never_green():
    killed = check._try("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert "SIGKILL" in killed.found
    assert killed.remedy


def test_real_time_is_asked_for_as_the_servo_asks():
    assert check.realtime(ServoConfig(priority=0)) == CheckResult("no real-time priority wanted")
    other_core = max(os.sched_getaffinity(0)) + 1
    refused = check.realtime(ServoConfig(cpu=other_core))
    assert f"servo.cpu is {other_core}" in refused.remedy
