"""The recorder's parameters: metadata and folder of the next episode."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any, get_args

from carp_ros.processes.user import user_name
from carp_ros.recording.episode import TASK_NAME, EpisodeInfo
from carp_ros.recording.live_episode import ImageFormat
from carp_ros.rig import Rig
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.parameter_rules import NOT_EMPTY, TEXT, OneOf
from carp_ros.share import version
from carp_ros.strict import Between, Rule

_PARAMETERS: dict[str, tuple[str, Rule]] = {
    "folder": ("Folder for episodes, each in a subfolder of its own.", NOT_EMPTY),
    "task": ("Short name of the task, part of the episodes' names.", TASK_NAME),
    "instruction": ("The task in words.", TEXT),
    "operator": ("Name of the operator; empty: the logged-in user.", TEXT),
    "seed": ("Seed of the simulated cell; below 0: none.", Between(-1, 2**53)),
    "images": ("How images are stored.", OneOf(get_args(ImageFormat))),
}


class EpisodeParameters:
    """Declares the parameters; changes take effect from the next episode.

    Args:
        node: The node that owns the parameters.
        rig: The rig.
    """

    def __init__(self, node: GuardedNode, rig: Rig) -> None:
        self._node = node
        self._rig = rig
        defaults: dict[str, Any] = {
            "folder": "episodes",
            "task": rig.cell.task if rig.cell else "task",
            "instruction": "",
            "operator": "",
            "seed": -1,
            "images": "jpeg",
        }
        for name, default in defaults.items():
            node.rules.declare(name, default, *_PARAMETERS[name])

    @property
    def images(self) -> ImageFormat:
        """How images are stored."""
        return "raw" if self._text("images") == "raw" else "jpeg"

    def info(self, now_ns: int) -> EpisodeInfo:
        """Return the metadata of an episode that begins now."""
        seed = self._node.get_parameter("seed").get_parameter_value().integer_value
        return EpisodeInfo(
            rig=self._rig.name,
            task=self._text("task"),
            instruction=self._text("instruction"),
            operator=self._text("operator") or user_name(),
            seed=seed if seed >= 0 else None,
            software=version(),
            started_ns=now_ns,
            rig_file=self._rig.file.recorded,
        )

    def new_folder(self, info: EpisodeInfo) -> Path:
        """Return the path of a folder for a new episode; it does not exist yet."""
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
