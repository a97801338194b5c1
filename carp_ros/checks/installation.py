"""What every system needs of this machine: the interpreter, ROS, memory, rendering, a runtime."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from carp_ros.checks.probe import Check, CheckResult
from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import load_bundle
from carp_ros.processes.ros_environment import IMAGES_PROFILE, PLAIN_PROFILE, log_folder
from carp_ros.refusal import in_words
from carp_ros.reports.check import CheckCode
from carp_ros.rig import ServoConfig
from carp_ros.runtimes import choose_runtime
from carp_ros.share import cache_folder, share_folder

IMAGES_SEGMENT_MB = 48  # the segment of config/fastdds_images.xml plus the other nodes' segments
LEAST_FREE_GB = 2
TRY_S = 60.0

_NOT_INSTALLED = 3  # exit code of a check's process: the module is missing
_START_ROS = f"""
import sys
try:
    import rclpy
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit({_NOT_INSTALLED})
rclpy.init()
rclpy.create_node("check")
print("a node starts")
"""
_DRAW = """
from carp_ros.sim.opengl import renderer_name
name = renderer_name()
import mujoco
scene = "<geom type='box' size='1 1 1' rgba='1 0 0 1'/><light pos='0 0 5' dir='0 0 -1'/>"
model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{scene}</worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 32, 32) as renderer:
    renderer.update_scene(data)
    red, green, _ = renderer.render()[16, 16]
if red <= green:
    raise SystemExit(f"{name} draws a red box in another colour")
print(name)
"""
_ASK_PRIORITY = """
from carp_ros.control.realtime import request_realtime
from carp_ros.errors import DeviceError
try:
    grant = request_realtime({priority}, {cpu}, required=False)
except DeviceError as error:
    raise SystemExit(str(error))
if grant.advice:
    raise SystemExit(grant.advice)
if grant.priority:
    print("SCHED_FIFO", grant.priority, "and locked memory")
else:
    print("no real-time priority wanted")
"""


def python() -> CheckResult:
    """Check the interpreter's version."""
    found = f"{sys.version.split()[0]} in {sys.prefix}"
    if sys.version_info < (3, 11):
        return CheckResult(
            found, "use Python 3.11 or 3.12: make clean; make test PYTHON=python3.12"
        )
    return CheckResult(found)


def cores() -> CheckResult:
    """Check the number of cores that this process may use."""
    count = len(os.sched_getaffinity(0))
    if count < 2:
        return CheckResult(
            f"{count}", "give the machine 2 cores: cameras and servo run side by side"
        )
    return CheckResult(f"{count}")


def environment() -> CheckResult:
    """Check that this interpreter runs the package next to its environment."""
    package, beside = share_folder(), Path(sys.prefix).parent
    if (beside / "package.xml").is_file() and not beside.samefile(package):
        return CheckResult(f"runs {package}", f"make demo in {beside}: it makes .venv anew")
    return CheckResult(f"runs {package}")


def ros() -> CheckResult:
    """Check that a ROS node starts."""
    install = "run `make test`, which installs ROS 2, or source a ROS 2 install"
    names = ("ROS_", "RMW_", "FASTDDS_", "FASTRTPS_", "CYCLONEDDS_")
    given = sorted(name for name in os.environ if name.startswith(names))
    start = (
        f"ROS 2 is installed, but the error above keeps a node from starting: check"
        f" {', '.join(given)}"
    )
    return _try(_START_ROS, start, install)


def dds_profile() -> CheckResult:
    """Check the settings of Fast DDS, which silently ignores a file that it can't read."""
    path = Path(os.environ.get("FASTRTPS_DEFAULT_PROFILES_FILE", ""))
    try:
        ElementTree.parse(path)
    except (OSError, ElementTree.ParseError) as error:
        remedy = "unset FASTRTPS_DEFAULT_PROFILES_FILE and FASTDDS_DEFAULT_PROFILES_FILE, or fix it"
        return CheckResult(f"{path}: {in_words(error)}", remedy)
    if path.parent != share_folder() / "config":
        return CheckResult(f"{path}: not the package's own; it decides who can reach the system")
    others = path.name not in (PLAIN_PROFILE, IMAGES_PROFILE)
    return CheckResult(f"{path.name}: {'other machines' if others else 'this machine alone'}")


def folders() -> CheckResult:
    """Check where logs and caches go, and the free space there."""
    logs, cache = log_folder(os.environ), cache_folder()
    free_gb = min(shutil.disk_usage(folder).free for folder in (logs, cache)) / 1e9
    found = f"logs {logs}, cache {cache}, {free_gb:.0f} GB free"
    if free_gb < LEAST_FREE_GB:
        return CheckResult(found, f"free {LEAST_FREE_GB} GB: meshes, engines and logs go there")
    return CheckResult(found)


def models() -> CheckResult:
    """Load every bundle that comes with the package, and verify its files' hashes."""
    names = []
    for folder in sorted((share_folder() / "models").glob("*/")):
        try:
            names.append(load_bundle(folder).folder.name)
        except ValueError as error:
            return CheckResult(f"{folder.name} is not whole", f"{error}; git restore models")
    return CheckResult(", ".join(names) or "none")


def one_ros() -> CheckResult:
    """Check for a second ROS install on the search paths."""
    prefixes = [path for path in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if path]
    foreign = [path for path in prefixes if path != sys.prefix]
    if sys.prefix in prefixes and foreign:
        remedy = f"open a shell that does not source {foreign[0]}: its libraries would mix in"
        return CheckResult(", ".join(prefixes), remedy)
    return CheckResult(", ".join(prefixes) or "none")


def shared_memory() -> CheckResult:
    """Check the free shared memory, through which images are passed."""
    room = shutil.disk_usage("/dev/shm")
    free_mb, all_mb = room.free // 2**20, room.total // 2**20
    found = f"{free_mb} of {all_mb} MB free in /dev/shm"
    if not os.access("/dev/shm", os.W_OK):
        return CheckResult(found, "let this user write there: chmod 1777 /dev/shm")
    if free_mb < IMAGES_SEGMENT_MB:
        return CheckResult(
            found,
            f"images need {IMAGES_SEGMENT_MB} MB: remove stale /dev/shm/fastrtps_* files, or start"
            " the container with --shm-size=256m",
        )
    return CheckResult(found)


def rendering() -> CheckResult:
    """Create an OpenGL context and report its renderer."""
    return _try(_DRAW, "run `make demo`, which installs Mesa, or apt-get install what it names")


def realtime(servo: ServoConfig) -> CheckResult:
    """Request the real-time priority and the core as the servo does."""
    return _try(_ASK_PRIORITY.format(priority=servo.priority, cpu=servo.cpu))


def runtime() -> CheckResult:
    """Report the runtime that would compute a policy."""
    try:
        choice = choose_runtime()
    except DeviceError as error:
        return CheckResult("none", str(error))
    return CheckResult(choice.name, "; ".join(choice.rejected))


CHECKS = (
    Check("python", python, code=CheckCode.PYTHON_VERSION),
    Check("cores", cores, code=CheckCode.FEW_CORES),
    Check("environment", environment, code=CheckCode.OTHER_CHECKOUT),
    Check("ROS 2", ros, code=CheckCode.NO_ROS),
    Check("DDS settings", dds_profile, code=CheckCode.DDS_SETTINGS),
    Check("ROS prefixes", one_ros, code=CheckCode.SECOND_ROS),
    Check("shared memory", shared_memory, code=CheckCode.SHARED_MEMORY_SMALL),
    Check("folders", folders, code=CheckCode.FOLDERS_FULL),
    Check("models", models, code=CheckCode.BUNDLE_DAMAGED),
    Check("rendering", rendering, code=CheckCode.NO_RENDERING),
    Check(
        "real time",
        partial(realtime, ServoConfig()),
        "a 500 Hz servo on a busy machine, and every real arm",
        CheckCode.NO_REALTIME_PRIORITY,
    ),
    Check("runtime", runtime, "policies on a GPU", CheckCode.SLOW_RUNTIME),
)
"""In the order in which they are looked at."""


def _try(code: str, remedy: str = "", install: str = "") -> CheckResult:
    """Run Python code in a separate process, which may crash.

    Args:
        code: Prints what it found as its last line.
        remedy: The remedy if it fails; empty: the last line of its error.
        install: The remedy if it exits with `_NOT_INSTALLED`.
    """
    try:
        run = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TRY_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return CheckResult(
            f"no answer within {TRY_S:.0f} s", remedy or "try again on an idle machine"
        )
    last_line = (run.stdout if run.returncode == 0 else run.stderr).strip().rpartition("\n")[2]
    if run.returncode == 0:
        return CheckResult(last_line)
    if not last_line:  # killed, as by a crash or for want of memory
        found = f"its process ended with {_ending(run.returncode)}"
        return CheckResult(found, remedy or "try again, and see what dmesg says")
    if run.returncode == _NOT_INSTALLED and install:
        return CheckResult(last_line, install)
    return CheckResult("no" if not remedy else last_line, remedy or last_line)


def _ending(code: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"code {code}"
