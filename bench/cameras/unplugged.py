"""Cameras that are unplugged while a policy moves the arm: it stops, and waits for an enable."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

from bench.cameras.sources import write_rig
from carp_ros.console.node_log import NodeLog
from carp_ros.errors import DeviceError
from carp_ros.reports.control import Fault, Reason
from carp_ros.system.bringup import READY_WITHIN_S, describe
from carp_ros.system.running_system import RunningSystem

_STOPS_WITHIN_S = 3.0
_BACK_WITHIN_S = 15.0
_STAYS_S = 1.5
_ENABLE_TRIES = 20


def measure_unplugging(
    folder: Path, paths: dict[str, Path], times: int, seed: int
) -> list[dict[str, Any]]:
    """Unplug a camera at random moments; return what happened each time.

    The nodes are those of a policy on the simulated arm; its cameras are links to the files, which
    are removed and made again.
    """
    from sensor_msgs.msg import CameraInfo  # after `enter`

    from carp_ros.clients.conductor_node import ConductorNode
    from carp_ros.ros.qos import SENSOR
    from carp_ros.ros.spinning_node import taking_part

    links = {name: folder / f"{name}{path.suffix}" for name, path in paths.items()}
    for name, path in paths.items():
        links[name].unlink(missing_ok=True)
        links[name].symlink_to(path)
    rig = write_rig(folder, links)
    log, chance, rows = NodeLog(verbose=False), random.Random(seed), []
    try:
        with (
            RunningSystem(describe(str(rig), "policy", task="cup"), log) as system,
            taking_part(lambda: ConductorNode("unplugging")) as arm,
        ):
            system.wait_until_ready(READY_WITHIN_S)
            came_s = dict.fromkeys(links, 0.0)

            def hear(name: str) -> None:
                def take(_: CameraInfo) -> None:
                    came_s[name] = time.monotonic()

                arm.create_subscription(CameraInfo, f"{name}/camera_info", take, SENSOR)

            for name in links:
                hear(name)
            arm.prepare()
            for number in range(times):
                name, moves_s = chance.choice(sorted(links)), chance.uniform(0.3, 3.0)
                _let_move(arm, moves_s)
                rows.append(_unplug(arm, name, links[name], paths[name], came_s, chance))
                print(f"{number + 1:>3} {rows[-1]}", flush=True)
    except BaseException:
        log.replay()
        raise
    return rows


def _let_move(arm: Any, seconds: float) -> None:
    """Let the policy move the arm from home for so long; anew if it stops before.

    It may: the images, which show no cell, lead it onto the table and out of its workspace.
    """
    for left in reversed(range(_ENABLE_TRIES)):
        try:
            if arm.fault is not Fault.NONE:
                arm.trigger("control/reset_fault")
            arm.go_home()
            arm.trigger("control/select_policy")
            arm.switch("control/enable", True)
            arm.wait_until(lambda: arm.enabled, 3.0, "enable the policy")
        except DeviceError:
            if not left:
                raise
            time.sleep(0.5)
            continue
        end_s = time.monotonic() + seconds
        while arm.enabled and time.monotonic() < end_s:
            time.sleep(0.002)
        if arm.enabled:
            return
    raise DeviceError(f"the policy stopped {_ENABLE_TRIES} times within {seconds:.1f} s: see why")


def _unplug(
    arm: Any,
    name: str,
    link: Path,
    path: Path,
    came_s: dict[str, float],
    chance: random.Random,
) -> dict[str, Any]:
    was_enabled = arm.enabled
    link.unlink()
    begin_s = time.monotonic()
    while arm.enabled and time.monotonic() - begin_s < _STOPS_WITHIN_S:
        time.sleep(0.002)
    stopped_s, reason = time.monotonic() - begin_s, arm.reason
    time.sleep(chance.uniform(0.1, 2.0))
    back_from_s = time.monotonic()
    os.symlink(path, link)
    enabled_by_itself = False
    while time.monotonic() - back_from_s < _BACK_WITHIN_S and came_s[name] < back_from_s:
        enabled_by_itself |= arm.enabled
        time.sleep(0.01)
    back_s = came_s[name] - back_from_s
    end_s = time.monotonic() + _STAYS_S
    while time.monotonic() < end_s:
        enabled_by_itself |= arm.enabled
        time.sleep(0.01)
    return {
        "camera": name,
        "moved_before": was_enabled,
        "stopped_ms": round(stopped_s * 1e3, 1),
        "reason": reason.name,
        "images_back_ms": round(back_s * 1e3, 1),
        "enabled_by_itself": enabled_by_itself,
        "passed": was_enabled
        and reason is Reason.IMAGE_STALE
        and stopped_s < _STOPS_WITHIN_S
        and back_s > 0.0
        and not enabled_by_itself,
    }
