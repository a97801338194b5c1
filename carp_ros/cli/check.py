"""`carp check`: what this machine has and lacks, each lack with its remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from carp_ros.errors import DeviceError
from carp_ros.hardware.spacemouse import SpaceMouse
from carp_ros.rig import ServoConfig, TeleopConfig
from carp_ros.ros_environment import enter
from carp_ros.runtimes import choose_runtime

IMAGES_SEGMENT_MB = 48  # the segment of config/fastdds_images.xml and those of the other nodes
TRY_S = 60.0

_START_ROS = "import rclpy; rclpy.init(); rclpy.create_node('check'); print('a node starts')"
_DRAW = "from carp_ros.sim.opengl import renderer_name; print(renderer_name())"
_ASK_PRIORITY = """
from carp_ros.control.realtime import request_realtime
grant = request_realtime({priority}, -1, required=False)
if grant.advice:
    raise SystemExit(grant.advice)
print("SCHED_FIFO", grant.priority, "and locked memory")
"""


@dataclass(frozen=True)
class CheckCommand:
    """Tell what this machine has and lacks; exit code 1 if the simulated rig can't run on it."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was `found`, and the `remedy` if that is not enough."""

    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Check:
    """One question to the machine. `needed_for` is empty where nothing runs without."""

    name: str
    look: Callable[[], Finding]
    needed_for: str = ""


def main(command: CheckCommand) -> int:
    """Print one row a check; return 1 if something is missing that nothing runs without."""
    enter()
    missing = False
    for check in CHECKS:
        finding = check.look()
        verdict = "ok" if not finding.remedy else "note" if check.needed_for else "MISSING"
        missing |= verdict == "MISSING"
        print(f"{_coloured(verdict)} {check.name:<14} {finding.found}", flush=True)
        if finding.remedy:
            purpose = f" (only for {check.needed_for})" if check.needed_for else ""
            print(f"{'':23} remedy{purpose}: {finding.remedy}")
    return int(missing)


def python() -> Finding:
    """Look at the interpreter."""
    found = f"{sys.version.split()[0]} in {sys.prefix}"
    if sys.version_info < (3, 11):
        return Finding(found, "use Python 3.11 or 3.12: make clean; make test PYTHON=python3.12")
    return Finding(found)


def cores() -> Finding:
    """Count the cores that this process may use."""
    count = len(os.sched_getaffinity(0))
    if count < 2:
        return Finding(f"{count}", "give the machine 2 cores: cameras and servo run side by side")
    return Finding(f"{count}")


def ros() -> Finding:
    """Start a node."""
    return _try(_START_ROS, "run `make test`, which installs ROS 2, or source a ROS 2 install")


def one_ros() -> Finding:
    """Look for a second ROS on the search paths."""
    prefixes = [path for path in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if path]
    foreign = [path for path in prefixes if path != sys.prefix]
    if sys.prefix in prefixes and foreign:
        remedy = f"open a shell that does not source {foreign[0]}: its libraries would mix in"
        return Finding(", ".join(prefixes), remedy)
    return Finding(", ".join(prefixes) or "none")


def shared_memory() -> Finding:
    """Measure the free space that images travel through."""
    free_mb = shutil.disk_usage("/dev/shm").free // 2**20
    if free_mb < IMAGES_SEGMENT_MB:
        return Finding(
            f"{free_mb} MB free in /dev/shm",
            f"images need {IMAGES_SEGMENT_MB} MB: remove stale /dev/shm/fastrtps_* files, or start"
            " the container with --shm-size=256m",
        )
    return Finding(f"{free_mb} MB free in /dev/shm")


def rendering() -> Finding:
    """Make an OpenGL context and ask who draws."""
    return _try(_DRAW, "run `make demo`, which installs Mesa, or apt-get install what it names")


def realtime() -> Finding:
    """Ask for the servo's priority."""
    return _try(_ASK_PRIORITY.format(priority=ServoConfig().priority))


def spacemouse() -> Finding:
    """Look for a SpaceMouse that this user may read."""
    mouse = SpaceMouse(TeleopConfig())
    try:
        mouse.open()
    except DeviceError as error:
        return Finding("none", str(error))
    mouse.close()
    return Finding("found")


def runtime() -> Finding:
    """Choose what would compute a policy."""
    try:
        choice = choose_runtime()
    except DeviceError as error:
        return Finding("none", str(error))
    return Finding(choice.name, "; ".join(choice.against))


CHECKS = (
    Check("python", python),
    Check("cores", cores),
    Check("ROS 2", ros),
    Check("ROS prefixes", one_ros),
    Check("shared memory", shared_memory),
    Check("rendering", rendering),
    Check("real time", realtime, needed_for="a 500 Hz servo on a busy machine, and every real arm"),
    Check("runtime", runtime, needed_for="policies on a GPU"),
    Check("SpaceMouse", spacemouse, needed_for="teleoperation"),
)


def _try(code: str, remedy: str = "") -> Finding:
    """Run Python code in a process of its own, which may crash; `remedy` empty: its last line."""
    try:
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=TRY_S
        )
    except subprocess.TimeoutExpired:
        return Finding(f"no answer within {TRY_S:.0f} s", remedy or "try again on an idle machine")
    last_line = (run.stdout if run.returncode == 0 else run.stderr).strip().rpartition("\n")[2]
    if run.returncode == 0:
        return Finding(last_line)
    return Finding("no" if not remedy else last_line, remedy or last_line)


def _coloured(verdict: str) -> str:
    """Return the verdict at a fixed width, coloured on a terminal."""
    text = f"{verdict:<8}"
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\033[{ {'ok': 32, 'note': 33, 'MISSING': 31}[verdict] }m{text}\033[0m"
