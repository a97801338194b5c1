"""Reads `meta/info.json`, in which a LeRobot dataset describes itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from carp_ros.files.plain_json import load_json
from carp_ros.refusal import printable, refusing, shortened
from carp_ros.strict import Between, Sized, read_strictly

INFO = "meta/info.json"

_MOST_BYTES = 5_000_000
_VERSIONS = ("v2.0", "v2.1", "v3.0")
_FIELDS = {
    "video_key": "observation.images.a",
    "image_key": "observation.images.a",
    "episode_index": 0,
    "episode_chunk": 0,
    "chunk_index": 0,
    "file_index": 0,
}
"""The placeholders allowed in a path template, with an example of each."""

# A width of at most two digits: `{episode_index:999999999d}` would fill the memory.
_PLACEHOLDER = re.compile(rf"\{{(?:{'|'.join(_FIELDS)})(?::0?[0-9]{{1,2}}d)?\}}")

_Path = Annotated[str, Sized(1, 300)]


@dataclass(frozen=True)
class LeRobotInfo:
    """The part of info.json that is needed to read a dataset.

    Attributes:
        codebase_version: Version of the format.
        fps: Frames per second.
        features: The features by name, as declared.
        data_path: Path template of the tables, with placeholders in braces.
        video_path: Path template of the videos; None without videos.
        chunks_size: Episodes per folder, in v2.1.
        robot_type: The recording program's name for the robot, if it is a text.
    """

    codebase_version: Literal["v2.0", "v2.1", "v3.0"]
    fps: Annotated[float, Between(0.1, 1000.0)]
    features: dict[str, Any]
    data_path: _Path
    video_path: _Path | None = None
    chunks_size: Annotated[int, Between(1, 1_000_000)] = 1000
    robot_type: Any = None

    @property
    def is_v3(self) -> bool:
        """Whether a file holds several episodes."""
        return self.codebase_version == "v3.0"


def read_info(root: Path) -> LeRobotInfo:
    """Read a dataset's info.json.

    Raises:
        ValueError: If it is missing or invalid.
    """
    path = root / INFO
    if not path.is_file():
        raise ValueError(
            f"no {path}; expected the folder of a dataset: of `carp convert`, or LeRobot's v2.1 or"
            " v3.0"
        )
    content = load_json(path, _MOST_BYTES)
    with refusing(ValueError, str(path)):
        version = content.get("codebase_version")
        if version not in _VERSIONS:
            raise ValueError(
                f"codebase_version is {shortened(repr(version), 40)}; expected v2.1 or v3.0:"
                " convert the dataset with lerobot's own tools"
            )
        known = LeRobotInfo.__dataclass_fields__
        info = read_strictly(
            LeRobotInfo, {name: content[name] for name in known if name in content}, str(path)
        )
        for name, template in (("data_path", info.data_path), ("video_path", info.video_path)):
            if template is not None:
                _require_path(name, template)
    return info


def inside(root: Path, name: str) -> Path:
    """Return the path of a dataset's file.

    Args:
        root: The dataset's folder.
        name: The file's path in it.

    Raises:
        ValueError: If it leads out of the dataset.
    """
    if not _is_inside(name):
        raise ValueError(
            f"{shortened(printable(name), 100)} leads out of the dataset; expected a path inside it"
        )
    return root / name


def _is_inside(name: str) -> bool:
    """Return whether a relative path stays in its folder.

    Only names are judged, as they come from a file. A link is the owner's doing: the cache of the
    Hugging Face hub consists of links, and large videos often lie on another disk.
    """
    return not name.startswith("/") and ".." not in name.split("/") and "\0" not in name


def _require_path(name: str, template: str) -> None:
    """Reject a path template with unknown placeholders, or that leads out of the dataset."""
    try:
        filled = template.format(**_FIELDS) if _are_known_placeholders(template) else None
    except (KeyError, ValueError, IndexError, AttributeError, TypeError):
        filled = None
    if filled is None:
        raise ValueError(
            f"{name} is {shortened(repr(template), 100)}; expected a path with nothing else in"
            f" braces than {', '.join(_FIELDS)}, or as {{file_index:03d}}"
        )
    if not _is_inside(filled):
        raise ValueError(
            f"{name} is {shortened(repr(template), 100)}; expected a path inside the dataset"
        )


def _are_known_placeholders(template: str) -> bool:
    return not set("{}") & set(_PLACEHOLDER.sub("", template))
