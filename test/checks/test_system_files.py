"""Tests for checks/system_files.py: whatever the kernel's files say, a check has a result."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.checks.gpu import GpuProbe
from carp_ros.checks.probe import line_of
from carp_ros.checks.realtime import GovernorProbe, KernelProbe, MemlockProbe, RtprioProbe
from carp_ros.checks.room import InotifyProbe
from carp_ros.checks.system_files import SystemFiles
from carp_ros.checks.usb import UsbProbe
from carp_ros.reports.check import CheckCode
from carp_ros.rig_cameras import OpenCvCameraConfig, RealSenseCameraConfig

USB = "sys/devices/usb/1-2"
FILES = (
    *("proc/version", "proc/self/limits", "proc/self/status", "proc/sys/kernel/osrelease"),
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    *("proc/sys/fs/inotify/max_user_instances", "proc/sys/fs/inotify/max_user_watches"),
    *("proc/driver/nvidia/version", "proc/driver/nvidia/gpus/0/information"),
    *(f"{USB}/{name}" for name in ("speed", "product", "serial", "idVendor")),
)
WORDS = (
    *("Max realtime priority", "Max locked memory", "CapEff:\t", "unlimited", "PREEMPT_RT"),
    *("480", "-1", "nan", "1e999", "9" * 5000, "8086", "RealSense", "Model:", "\n", " ", "\x00"),
)
CAMERAS = {
    "webcam": OpenCvCameraConfig(device="/dev/video0", width_px=640, height_px=480),
    "depth": RealSenseCameraConfig(width_px=640, height_px=480),
}


def no_gpu_is_asked():
    pass


def probes(files):
    yield from (KernelProbe(files), RtprioProbe(40, files), MemlockProbe(files))
    yield from (GovernorProbe(files), InotifyProbe(files), GpuProbe(files, no_gpu_is_asked))
    yield from (UsbProbe(name, CAMERAS, files) for name in CAMERAS)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    root = tmp_path_factory.mktemp("machine")
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / "sys/bus/usb/devices").mkdir(parents=True)
    (root / "sys/bus/usb/devices/1-2").symlink_to(root / USB)
    (root / "sys/class/video4linux/video0").mkdir(parents=True)
    (root / "sys/class/video4linux/video0/device").symlink_to(root / USB)
    return root


text = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=8).map("".join)


@settings(max_examples=40)
@given(st.fixed_dictionaries({name: st.binary(max_size=20) | text for name in FILES}))
def test_whatever_the_kernel_s_files_say_every_check_has_a_result(machine, contents):
    for name, content in contents.items():
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        (machine / name).write_bytes(raw)
    for probe in probes(SystemFiles(machine)):
        line = line_of(probe)
        assert line.code is not CheckCode.FAILED, (probe.name, line.value, line.remedy)
        assert line.value.isprintable()
