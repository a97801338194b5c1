"""The environment variables that a ROS process of this package starts with.

ROS 2 from PyPI needs its libraries on the loader's path, which Linux reads once, when a process
starts. The wheels see to it by re-executing every interpreter of their virtual environment, guarded
by a variable that children inherit; what they miss is a child whose guard came from elsewhere (an
interpreter of another environment). `enter` closes that gap, and chooses the settings of Fast DDS
that camera images need. Where ROS is installed by other means, only those settings are touched.

A variable that the user set is left alone.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from carp_ros.memory import keep_freed_memory
from carp_ros.share import share_folder

IMAGES_PROFILE = "fastdds_images.xml"
"""For a process that publishes images; the others need no large shared-memory segment."""


def ros_environment(
    inherited: Mapping[str, str], prefix: Path, libraries: list[Path], fastdds_profile: Path
) -> dict[str, str]:
    """Return `inherited` with what a ROS process needs.

    Args:
        inherited: The environment to start from, usually `os.environ`.
        prefix: Of the virtual environment, where the wheels install their `lib` and `share`.
        libraries: Folders of the wheels' shared libraries; empty where ROS is not from wheels.
        fastdds_profile: XML file with the settings of Fast DDS.
    """
    environment = dict(inherited)
    # Jazzy's Fast DDS reads the first of the two, later ones prefer the second.
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        # A profile of ours came from the process that started this one, not from the user.
        if Path(inherited.get(name, fastdds_profile)).parent == fastdds_profile.parent:
            environment[name] = str(fastdds_profile)
    # One workstation: a robot's commands never come from another machine unless someone says so.
    environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    if libraries:
        environment["LD_LIBRARY_PATH"] = _prepended("LD_LIBRARY_PATH", libraries, inherited)
        environment["AMENT_PREFIX_PATH"] = _prepended("AMENT_PREFIX_PATH", [prefix], inherited)
        environment["RMW_IMPLEMENTATION"] = "rmw_fastrtps_cpp"  # the one that the wheels have
        environment["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"
    return environment


def enter(profile: str = "fastdds.xml") -> None:
    """Give this process that environment; call it first in a `main`, before ROS is imported.

    It keeps what memory it frees, too: see `carp_ros.memory`.

    Re-executes the interpreter if the loader's path lacks the wheels' libraries, at most once: the
    new process has them.

    Args:
        profile: File in `config/`; `IMAGES_PROFILE` where images are published.
    """
    environment = this_environment(profile)
    if environment.get("LD_LIBRARY_PATH") != os.environ.get("LD_LIBRARY_PATH"):
        sys.stdout.flush()
        os.execve(sys.executable, sys.orig_argv, environment)
    os.environ.update(environment)
    keep_freed_memory()


def this_environment(profile: str = "fastdds.xml") -> dict[str, str]:
    """Return the ROS environment of this interpreter, for its children."""
    prefix = Path(sys.prefix)
    wheels = sorted(Path(sysconfig.get_path("purelib")).glob("ros_*.libs"))
    libraries = [prefix / "lib", *wheels] if wheels else []
    return ros_environment(os.environ, prefix, libraries, share_folder() / "config" / profile)


def _prepended(name: str, folders: list[Path], inherited: Mapping[str, str]) -> str:
    """Return a path variable that has all `folders`: as it is, or with them in front."""
    present = [folder for folder in inherited.get(name, "").split(os.pathsep) if folder]
    if all(str(folder) in present for folder in folders):
        return inherited[name]
    return os.pathsep.join([*map(str, folders), *present])
