"""The environment variables with which a ROS process of this package starts.

ROS 2 from PyPI needs its libraries on the loader's path, which Linux reads once, when a process
starts. The wheels ensure that by re-executing every interpreter of their virtual environment,
guarded by a variable that children inherit. They miss a child that inherited the guard from an
interpreter of another environment. `enter` closes that gap and selects the Fast DDS settings that
camera images need. If ROS is installed by other means, only those settings are changed.

Variables that the user has set are kept; a value with which ROS cannot start is refused.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from carp_ros.processes.memory import keep_freed_memory
from carp_ros.share import share_folder, written_or_temporary

PLAIN_PROFILE = "fastdds.xml"
IMAGES_PROFILE = "fastdds_images.xml"
"""For processes that publish images; the others need no large shared-memory segment."""


_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""Jazzy's Fast DDS reads the first; later versions prefer the second."""
_OPEN = "_network"
"""Suffix of profiles whose sockets are open to other machines."""
_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
_RANGES = ("LOCALHOST", "SUBNET", "OFF", "SYSTEM_DEFAULT")
_LAST_DOMAIN = 232  # higher domains would need ports beyond 65535
_FAST_DDS = ("", "rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")


def ros_environment(
    inherited: Mapping[str, str], prefix: Path, libraries: list[Path], fastdds_profile: Path
) -> dict[str, str]:
    """Return `inherited` with the variables that a ROS process needs.

    Args:
        inherited: The environment to start from, usually `os.environ`.
        prefix: Prefix of the virtual environment, where the wheels install their `lib` and `share`.
        libraries: Folders of the wheels' shared libraries; empty if ROS is not from wheels.
        fastdds_profile: XML file with the Fast DDS settings for this machine only; the file for
            systems open to other machines is in the same folder.

    Raises:
        ValueError: If a variable has a value with which no node starts.
    """
    _require_valid(inherited)
    environment = dict(inherited)
    folder = fastdds_profile.parent
    given = {Path(inherited[name]) for name in _PROFILE_VARIABLES if inherited.get(name)}
    # One of our own profiles was set by the process that started this one, not by the user.
    theirs = any(profile.parent != folder for profile in given)
    is_open = _others_may_reach(inherited, {profile.stem for profile in given if not theirs})
    if is_open:
        fastdds_profile = fastdds_profile.with_stem(fastdds_profile.stem + _OPEN)
    for name in _PROFILE_VARIABLES:
        if not inherited.get(name) or Path(inherited[name]).parent == folder:
            environment[name] = str(fastdds_profile)
    # By default, a robot never accepts commands from another machine.
    reads_profile = bool(libraries) or inherited.get("RMW_IMPLEMENTATION", "") in _FAST_DDS
    if not is_open and not theirs and reads_profile and inherited.get(_RANGE) != "OFF":
        # the profile is sufficient; LOCALHOST would add sockets that listen on every interface
        environment[_RANGE] = "SYSTEM_DEFAULT"
        environment.pop("ROS_LOCALHOST_ONLY", None)
    elif not inherited.get(_RANGE):
        environment[_RANGE] = "LOCALHOST"
    if libraries:
        environment["LD_LIBRARY_PATH"] = _prepended("LD_LIBRARY_PATH", libraries, inherited)
        environment["AMENT_PREFIX_PATH"] = _prepended("AMENT_PREFIX_PATH", [prefix], inherited)
        environment["RMW_IMPLEMENTATION"] = "rmw_fastrtps_cpp"  # the only one in the wheels
        environment["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"
    return environment


def log_folder(inherited: Mapping[str, str]) -> Path:
    """Return ROS's usual log folder, or a temporary folder if that is not writable."""
    given = inherited.get("ROS_LOG_DIR")
    home = inherited.get("ROS_HOME") or "~/.ros"
    try:
        usual = Path(given or f"{home}/log").expanduser()
    except RuntimeError:  # ~ of a user without a home
        usual = None
    return written_or_temporary(usual, "log", "ROS_LOG_DIR")


def _require_valid(inherited: Mapping[str, str]) -> None:
    domain = inherited.get("ROS_DOMAIN_ID", "")
    if domain and not (domain.isascii() and domain.isdecimal() and int(domain) <= _LAST_DOMAIN):
        raise ValueError(
            f"ROS_DOMAIN_ID is {domain!r}; expected a whole number from 0 to {_LAST_DOMAIN} (up to"
            " 101 avoids Linux's ephemeral ports): set it so, or unset it"
        )
    reach = inherited.get(_RANGE, "")
    if reach and reach not in _RANGES:
        raise ValueError(
            f"{_RANGE} is {reach!r}; expected {', '.join(_RANGES)}: set it so, or unset it"
        )


def _others_may_reach(inherited: Mapping[str, str], profiles_of_ours: set[str]) -> bool:
    """Return whether the user asked for a system that is open to other machines."""
    if profiles_of_ours:  # already decided by the process that started this one
        return any(stem.endswith(_OPEN) for stem in profiles_of_ours)
    asked = inherited.get(_RANGE) in ("SUBNET", "SYSTEM_DEFAULT")
    peers = (inherited.get(name) for name in ("ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER"))
    return asked or any(peers)


def enter(profile: str = PLAIN_PROFILE) -> None:
    """Give this process that environment; call this first in `main`, before ROS is imported.

    Also makes the process keep freed memory, see `carp_ros.processes.memory`.

    Re-executes the interpreter, at most once, if the loader's path lacks the wheels' libraries.

    Args:
        profile: File in `config/`; `IMAGES_PROFILE` where images are published.

    Raises:
        ValueError: If a variable has a value with which no node starts.
    """
    environment = this_environment(profile)
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    if environment.get("LD_LIBRARY_PATH") != os.environ.get("LD_LIBRARY_PATH"):
        sys.stdout.flush()
        os.execve(sys.executable, sys.orig_argv, environment)
    os.environ.update(environment)
    keep_freed_memory()


def this_environment(profile: str = PLAIN_PROFILE) -> dict[str, str]:
    """Return the ROS environment of this interpreter, for its children."""
    prefix = Path(sys.prefix)
    wheels = sorted(Path(sysconfig.get_path("purelib")).glob("ros_*.libs"))
    libraries = [prefix / "lib", *wheels] if wheels else []
    environment = ros_environment(
        os.environ, prefix, libraries, share_folder() / "config" / profile
    )
    return environment | {"ROS_LOG_DIR": str(log_folder(os.environ))}


def _prepended(name: str, folders: list[Path], inherited: Mapping[str, str]) -> str:
    """Return a path variable that contains all `folders`, prepending them if necessary."""
    present = [folder for folder in inherited.get(name, "").split(os.pathsep) if folder]
    if all(str(folder) in present for folder in folders):
        return inherited[name]
    return os.pathsep.join([*map(str, folders), *present])
