"""Tests for checks/gpu.py, with a driver and a GPU of the test's own."""

import dataclasses
from pathlib import Path

import pytest

from carp_ros.checks.gpu import EngineProbe, GpuProbe
from carp_ros.checks.probe import line_of
from carp_ros.checks.system_files import SystemFiles
from carp_ros.errors import DeviceError
from carp_ros.inference.engine_file import EngineKey, write_engine
from carp_ros.reports.check import CheckCode
from carp_ros.rig import load_rig

REPOSITORY = Path(__file__).parents[2]
RIG = load_rig(REPOSITORY / "config" / "ur5e_sim.yaml")
BUNDLE = REPOSITORY / "models" / "carp_cup_sim"
DRIVER = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.120  Fri Sep 13 10:10:01 UTC 2024\n"


def keys(graphs):
    return {name: EngineKey(name, "0" * 64, "8.6", "tensorrt_rtx 1.7", "half") for name in graphs}


def no_gpu():
    raise DeviceError("see nvidia-smi")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_a_gpu_is_named_with_its_driver(tmp_path):
    write(tmp_path / "proc/driver/nvidia/version", DRIVER)
    gpu = tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0/information"
    write(gpu, "Model: \t\t NVIDIA GeForce RTX 2060\nIRQ: 16\n")
    line = line_of(GpuProbe(SystemFiles(tmp_path), lambda: None))
    assert (line.code, line.value) == (CheckCode.OK, "NVIDIA GeForce RTX 2060, driver 550.120")


def test_no_driver_and_no_gpu_are_red(tmp_path):
    assert line_of(GpuProbe(SystemFiles(tmp_path), no_gpu)).code is CheckCode.NO_GPU
    write(tmp_path / "proc/driver/nvidia/version", DRIVER)
    line = line_of(GpuProbe(SystemFiles(tmp_path), no_gpu))
    assert (line.code, "550.120" in line.value) == (CheckCode.NO_GPU, True)


def engine_line(tmp_path, keys=keys, rig=RIG, bundle=BUNDLE):
    return line_of(EngineProbe(bundle, rig, keys, lambda: tmp_path))


def test_every_graph_needs_its_engine(tmp_path):
    absent = engine_line(tmp_path)
    assert absent.code is CheckCode.ENGINE_ABSENT
    assert "--capabilities 8.6" in absent.remedy
    graphs = [path.stem for path in BUNDLE.glob("*.onnx")]
    for key in keys(graphs).values():
        write_engine(tmp_path, key, b"machine code")
    assert engine_line(tmp_path).code is CheckCode.OK
    whole = next(tmp_path.glob("*.engine"))
    whole.write_bytes(whole.read_bytes()[:-1])
    assert engine_line(tmp_path).code is CheckCode.ENGINE_UNFIT


def test_a_runtime_without_engines_needs_none(tmp_path):
    def none(graphs):
        return {}

    line = engine_line(tmp_path, none)
    assert line.code is CheckCode.OK
    assert "needs no engine" in line.value


def test_a_bundle_that_is_absent_or_for_another_rig_is_red(tmp_path):
    assert engine_line(tmp_path, bundle=tmp_path / "none").code is CheckCode.BUNDLE_UNFIT
    blind = dataclasses.replace(RIG, cameras={})
    assert engine_line(tmp_path, rig=blind).code is CheckCode.BUNDLE_UNFIT


@pytest.mark.parametrize("text", ["", "no version at all\n"])
def test_a_driver_of_unknown_version_is_no_crash(text, tmp_path):
    write(tmp_path / "proc/driver/nvidia/version", text)
    assert line_of(GpuProbe(SystemFiles(tmp_path), no_gpu)).code is CheckCode.NO_GPU


def test_a_gpu_that_cannot_be_used_is_no_reason_to_need_no_engine(tmp_path):
    def broken(graphs):
        raise DeviceError("CUDA finds no NVIDIA GPU")

    line = engine_line(tmp_path, broken)
    assert line.code is CheckCode.ENGINE_ABSENT
    assert "CUDA finds no NVIDIA GPU" in line.remedy


def test_a_gpu_is_there_if_policies_can_use_it_whatever_proc_says(tmp_path):
    """As in WSL and on a Jetson, whose drivers have no folder in /proc."""
    line = line_of(GpuProbe(SystemFiles(tmp_path), lambda: None))
    assert line.code is CheckCode.OK


def test_a_gpu_that_policies_cannot_use_is_red_whatever_proc_says(tmp_path):
    write(tmp_path / "proc/driver/nvidia/version", DRIVER)
    write(tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: RTX 2060\n")
    line = line_of(GpuProbe(SystemFiles(tmp_path), no_gpu))
    assert (line.code, "see nvidia-smi" in line.remedy) == (CheckCode.NO_GPU, True)
    assert "RTX 2060" in line.value


def test_without_a_place_for_engines_its_line_alone_says_so():
    def none():
        raise ValueError("no folder for the cache; set XDG_CACHE_HOME")

    line = line_of(EngineProbe(BUNDLE, RIG, keys, none))
    assert (line.code, "XDG_CACHE_HOME" in line.remedy) == (CheckCode.FAILED, True)
