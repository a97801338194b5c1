"""The environment variables that a ROS process of this package starts with.

ROS 2 from PyPI needs its libraries on the loader's path, which Linux reads once, when a process
starts. The wheels see to it by re-executing every interpreter of their virtual environment, guarded
by a variable that children inherit; what they miss is a child whose guard came from elsewhere (an
interpreter of another environment). `enter` closes that gap, and chooses the settings of Fast DDS
that camera images need. Where ROS is installed by other means, only those settings are touched.

A variable that the user set is left alone; one that ROS could not start with is refused in words.
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
"""For a process that publishes images; the others need no large shared-memory segment."""


_PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""Jazzy's Fast DDS reads the first of the two, later ones prefer the second."""
_OPEN = "_network"
"""Ends the name of a profile whose sockets other machines may reach."""
_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
_RANGES = ("LOCALHOST", "SUBNET", "OFF", "SYSTEM_DEFAULT")
_LAST_DOMAIN = 232  # the next one's ports lie beyond 65535
_FAST_DDS = ("", "rmw_fastrtps_cpp", "rmw_fastrtps_dynamic_cpp")


def ros_environment(
    inherited: Mapping[str, str], prefix: Path, libraries: list[Path], fastdds_profile: Path
) -> dict[str, str]:
    """Return `inherited` with what a ROS process needs.

    Args:
        inherited: The environment to start from, usually `os.environ`.
        prefix: Of the virtual environment, where the wheels install their `lib` and `share`.
        libraries: Folders of the wheels' shared libraries; empty where ROS is not from wheels.
        fastdds_profile: XML file with the settings of Fast DDS for this machine alone; the one for
            others, too, lies beside it.

    Raises:
        ValueError: If a variable has a value with which no node starts.
    """
    _require_valid(inherited)
    environment = dict(inherited)
    folder = fastdds_profile.parent
    given = {Path(inherited[name]) for name in _PROFILE_VARIABLES if inherited.get(name)}
    # A profile of ours came from the process that started this one, not from the user.
    theirs = any(profile.parent != folder for profile in given)
    is_open = _others_may_reach(inherited, {profile.stem for profile in given if not theirs})
    if is_open:
        fastdds_profile = fastdds_profile.with_stem(fastdds_profile.stem + _OPEN)
    for name in _PROFILE_VARIABLES:
        if not inherited.get(name) or Path(inherited[name]).parent == folder:
            environment[name] = str(fastdds_profile)
    # One workstation: a robot's commands never come from another machine unless someone says so.
    reads_profile = bool(libraries) or inherited.get("RMW_IMPLEMENTATION", "") in _FAST_DDS
    if not is_open and not theirs and reads_profile and inherited.get(_RANGE) != "OFF":
        # the profile says all; LOCALHOST would add sockets that listen on every interface
        environment[_RANGE] = "SYSTEM_DEFAULT"
        environment.pop("ROS_LOCALHOST_ONLY", None)
    elif not inherited.get(_RANGE):
        environment[_RANGE] = "LOCALHOST"
    if libraries:
        environment["LD_LIBRARY_PATH"] = _prepended("LD_LIBRARY_PATH", libraries, inherited)
        environment["AMENT_PREFIX_PATH"] = _prepended("AMENT_PREFIX_PATH", [prefix], inherited)
        environment["RMW_IMPLEMENTATION"] = "rmw_fastrtps_cpp"  # the one that the wheels have
        environment["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"
    return environment


def log_folder(inherited: Mapping[str, str]) -> Path:
    """Return where ROS's logs go: where they always do, or a temporary folder if they can't."""
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
            " 101 keeps clear of the ports that Linux hands out): set it so, or unset it"
        )
    reach = inherited.get(_RANGE, "")
    if reach and reach not in _RANGES:
        raise ValueError(
            f"{_RANGE} is {reach!r}; expected {', '.join(_RANGES)}: set it so, or unset it"
        )


def _others_may_reach(inherited: Mapping[str, str], profiles_of_ours: set[str]) -> bool:
    """Return whether someone said that other machines are part of the system."""
    if profiles_of_ours:  # the process that started this one knew
        return any(stem.endswith(_OPEN) for stem in profiles_of_ours)
    asked = inherited.get(_RANGE) in ("SUBNET", "SYSTEM_DEFAULT")
    peers = (inherited.get(name) for name in ("ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER"))
    return asked or any(peers)


def enter(profile: str = PLAIN_PROFILE) -> None:
    """Give this process that environment; call it first in a `main`, before ROS is imported.

    It keeps what memory it frees, too: see `carp_ros.processes.memory`.

    Re-executes the interpreter if the loader's path lacks the wheels' libraries, at most once: the
    new process has them.

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
    """Return a path variable that has all `folders`: as it is, or with them in front."""
    present = [folder for folder in inherited.get(name, "").split(os.pathsep) if folder]
    if all(str(folder) in present for folder in folders):
        return inherited[name]
    return os.pathsep.join([*map(str, folders), *present])
