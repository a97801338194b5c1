"""Tests for checks/selection.py: what each rig does not run without."""

import dataclasses
import os
from pathlib import Path

import pytest

from carp_ros.checks.probe import line_of
from carp_ros.checks.realtime import RtprioProbe
from carp_ros.checks.selection import probes_of, probes_of_the_machine
from carp_ros.checks.system_files import SystemFiles
from carp_ros.reports.check import Verdict
from carp_ros.rig import ServoConfig, load_rig
from carp_ros.rig_devices import Ros2ControlArmConfig

CONFIG = Path(__file__).parents[2] / "config"


def needs(rig, **changes):
    rig = load_rig(CONFIG / f"{rig}.yaml")
    rig = dataclasses.replace(rig, **changes)
    found = list(probes_of(rig, None, Path("episodes"), SystemFiles()))
    names = [probe.name for probe in found]
    assert len(set(names)) == len(names)
    return {probe.name: probe.needed_for for probe in found}


def test_only_an_fr3_does_not_run_without_a_real_time_kernel():
    assert needs("fr3")["kernel"] == ""
    assert needs("ur5e")["kernel"]
    assert needs("ur5e_sim")["kernel"]
    relaxed = dataclasses.replace(load_rig(CONFIG / "fr3.yaml").arm, enforce_realtime=False)
    assert needs("fr3", arm=relaxed)["kernel"]


def test_a_real_rig_needs_its_priority_and_no_picture():
    real, simulated = needs("ur5e"), needs("ur5e_sim")
    for name in ("rtprio", "memlock", "real time"):
        assert real[name] == ""
        assert simulated[name]
    assert real["rendering"]
    assert simulated["rendering"] == ""


@pytest.mark.parametrize("rig", ["ur5e", "fr3"])
def test_the_network_is_measured_to_a_real_arm_alone(rig):
    network = {"arm's ports", "arm's network", "arm's ping", "gripper's port"}
    assert network <= needs(rig).keys()
    assert not network & needs(f"{rig}_sim").keys()


def test_without_a_rig_the_machine_alone_is_looked_at():
    found = list(probes_of_the_machine(Path("episodes"), SystemFiles()))
    names = {probe.name for probe in found}
    assert {"python", "kernel", "rtprio", "disk", "inotify", "clock", "GPU"} <= names
    assert not any(name.startswith("arm") for name in names)


def test_the_library_of_an_fr3_asks_for_the_highest_priority():
    rig = load_rig(CONFIG / "fr3.yaml")
    probes = probes_of(rig, None, Path("episodes"), SystemFiles())
    assert [probe.least for probe in probes if isinstance(probe, RtprioProbe)] == [99]


def test_real_time_is_asked_for_with_the_rig_s_own_priority_and_core():
    servo = ServoConfig(cpu=max(os.sched_getaffinity(0)) + 1)
    rig = dataclasses.replace(load_rig(CONFIG / "ur5e.yaml"), servo=servo)
    probes = probes_of(rig, None, Path("episodes"), SystemFiles())
    (probe,) = [probe for probe in probes if probe.name == "real time"]
    assert "servo.cpu" in probe.look().remedy


def test_an_arm_that_only_its_vendor_s_driver_sees_is_said_not_to_be_looked_at():
    rig = load_rig(CONFIG / "ur5e.yaml")
    rig = dataclasses.replace(rig, arm=Ros2ControlArmConfig())
    probes = probes_of(rig, None, Path("episodes"), SystemFiles())
    (probe,) = [probe for probe in probes if probe.name == "arm"]
    assert line_of(probe).verdict is Verdict.UNKNOWN
