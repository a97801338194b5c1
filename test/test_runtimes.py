import subprocess
import sys
from types import SimpleNamespace

import pytest

from carp_ros import runtimes as module
from carp_ros.errors import DeviceError
from carp_ros.inference import cuda
from carp_ros.runtimes import RUNTIMES, choose_runtime


class Made:
    """A runtime that is there."""


def absent(reason, kind=DeviceError):
    def make():
        raise kind(reason)

    return make


def offer(monkeypatch, **makers):
    """Let these be all runtimes there are."""
    monkeypatch.setattr(module, "RUNTIMES", tuple(makers))
    monkeypatch.setattr(module, "_makers", lambda threads: makers)


def test_the_fastest_that_is_here_is_chosen(monkeypatch):
    offer(monkeypatch, rtx=Made, cuda=Made, cpu=Made)
    assert str(choose_runtime()) == "rtx"


def test_what_is_not_here_is_said_with_its_reason(monkeypatch):
    offer(monkeypatch, rtx=absent("no GPU"), cuda=absent("lacks it", ValueError), cpu=Made)
    choice = choose_runtime()
    assert str(choice) == "cpu (not rtx: no GPU; not cuda: lacks it)"
    assert isinstance(choice.runtime, Made)


def test_what_is_asked_for_by_name_is_never_replaced(monkeypatch):
    offer(monkeypatch, rtx=absent("no GPU"), cuda=Made, cpu=Made)
    with pytest.raises(DeviceError, match="no GPU"):
        choose_runtime("rtx")
    assert choose_runtime("cuda").name == "cuda"


def test_no_runtime_at_all_is_an_error_with_all_reasons(monkeypatch):
    offer(monkeypatch, rtx=absent("a"), cuda=absent("b"), cpu=absent("c"))
    with pytest.raises(DeviceError, match="not rtx: a; not cuda: b; not cpu: c"):
        choose_runtime()


def test_an_unknown_name_is_answered_with_those_that_exist():
    with pytest.raises(ValueError, match="'tpu'; expected auto, rtx, tensorrt, torch, cuda, cpu"):
        choose_runtime("tpu")


def test_this_machine_has_a_runtime():
    choice = choose_runtime()
    assert len(choice.rejected) == RUNTIMES.index(choice.name)


def test_without_a_gpu_torch_is_not_even_imported():
    """Importing it takes seconds, and a robot without a GPU has no use for it."""
    code = (
        "import sys; from carp_ros.runtimes import choose_runtime; print(choose_runtime());"
        " sys.exit('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if "not torch" not in run.stdout:
        pytest.skip(f"this machine has a GPU: {run.stdout}")
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_driver_without_a_gpu_is_told_from_no_driver(monkeypatch):
    driver = SimpleNamespace(cuInit=lambda flags: 100, cuDeviceGetCount=lambda count: 0)
    monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: driver)
    with pytest.raises(DeviceError, match="driver is here, but finds no GPU"):
        cuda.require_gpu()


def test_a_driver_with_a_gpu_will_do(monkeypatch):
    def count(pointer):
        pointer._obj.value = 1
        return 0

    driver = SimpleNamespace(cuInit=lambda flags: 0, cuDeviceGetCount=count)
    monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: driver)
    cuda.require_gpu()
