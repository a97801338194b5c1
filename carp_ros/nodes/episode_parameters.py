"""The recorder's parameters: what the next episode is and where it goes."""

from __future__ import annotations

import getpass
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, get_args

import yaml
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from carp_ros.recording.episode import EpisodeInfo
from carp_ros.recording.live_episode import Images
from carp_ros.rig import Rig
from carp_ros.share import version

_DESCRIPTIONS = {
    "folder": "Where episodes go, each a folder of its own.",
    "task": "Short name of the task, part of the episodes' names.",
    "instruction": "The task in words.",
    "operator": "Who demonstrates; empty: who is logged in.",
    "seed": "Of the simulated cell; below 0: none.",
    "images": "jpeg or raw.",
}


class EpisodeParameters:
    """Declares the parameters; each counts from the next episode on.

    Args:
        node: Whose parameters they are.
        rig_path: The rig's file.
        rig: What stands in it.
    """

    def __init__(self, node: Node, rig_path: Path, rig: Rig) -> None:
        self._node = node
        self._rig_path = rig_path
        self._rig = rig
        node.add_on_set_parameters_callback(_check)
        defaults: dict[str, Any] = {
            "folder": "episodes",
            "task": rig.cell.task if rig.cell else "task",
            "instruction": "",
            "operator": "",
            "seed": -1,
            "images": "jpeg",
        }
        for name, default in defaults.items():
            descriptor = ParameterDescriptor(description=_DESCRIPTIONS[name])
            node.declare_parameter(name, default, descriptor)

    @property
    def images(self) -> Images:
        """How pictures are written."""
        return "raw" if self._text("images") == "raw" else "jpeg"

    def info(self, now_ns: int) -> EpisodeInfo:
        """Return what is known of an episode that begins now."""
        seed = self._node.get_parameter("seed").get_parameter_value().integer_value
        return EpisodeInfo(
            rig=self._rig.name,
            task=self._text("task"),
            instruction=self._text("instruction"),
            operator=self._text("operator") or getpass.getuser(),
            seed=seed if seed >= 0 else None,
            software=version(),
            started_ns=now_ns,
            rig_file=yaml.safe_load(self._rig_path.read_text(encoding="utf-8")),
        )

    def new_folder(self, info: EpisodeInfo) -> Path:
        """Return a folder for an episode that does not exist yet."""
        moment = datetime.fromtimestamp(info.started_ns * 1e-9, timezone.utc)
        stem = f"{info.task}_{moment:%Y%m%d_%H%M%S}"
        folder = Path(self._text("folder")).expanduser().absolute()
        path, number = folder / stem, 1
        while path.exists():
            number += 1
            path = folder / f"{stem}_{number}"
        return path

    def _text(self, name: str) -> str:
        return self._node.get_parameter(name).get_parameter_value().string_value


def _check(parameters: list[Parameter]) -> SetParametersResult:
    for parameter in parameters:
        value = parameter.value
        if parameter.name == "images" and value not in get_args(Images):
            reason = f"images is {value!r}; expected {' or '.join(get_args(Images))}"
            return SetParametersResult(successful=False, reason=reason)
        if parameter.name == "task" and not re.fullmatch(r"[\w-]+", str(value)):
            reason = f"task is {value!r}; expected letters, digits, _ and -: it names folders"
            return SetParametersResult(successful=False, reason=reason)
        if parameter.name == "folder" and not value:
            return SetParametersResult(successful=False, reason="folder is empty; expected a path")
    return SetParametersResult(successful=True)
