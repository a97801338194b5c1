"""A converted episode on disk, before it is joined into a dataset's files."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carp_ros.files.whole_file import whole_folder
from carp_ros.inference.preprocess import state_vector
from carp_ros.recording.dataset_spec import DatasetSpec, video_key
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.recording.frames import Frame
from carp_ros.recording.statistics import ImageStatistics, Statistics
from carp_ros.recording.tables import Columns, read_columns, write_columns
from carp_ros.recording.video import VideoWriter

_TABLE = "frames.parquet"
_FACTS = "episode.json"


@dataclass(frozen=True)
class Piece:
    """A converted episode.

    Attributes:
        folder: The piece's folder.
        spec: The spec of the dataset that it fits into.
        instruction: The task in words.
        facts: Further columns of the episode's row, by name.
        images: Statistics of its images, by LeRobot's feature name.
    """

    folder: Path
    spec: DatasetSpec
    instruction: str
    facts: dict[str, Any]
    images: dict[str, Statistics]

    @property
    def length(self) -> int:
        """Number of frames."""
        return self.facts["length"]

    def columns(self) -> Columns:
        """Read the numbers of its frames."""
        return read_columns(self.folder / _TABLE)

    def video(self, camera: str) -> Path:
        """Return the path of a camera's video."""
        return self.folder / f"{camera}.mp4"


def write_piece(
    folder: Path, spec: DatasetSpec, source: str, info: EpisodeInfo, frames: Iterable[Frame]
) -> None:
    """Write an episode's frames atomically.

    Args:
        folder: The folder to create.
        spec: The dataset's spec; the frames' images must have its sizes.
        source: Name of the recorded episode.
        info: Its metadata.
        frames: At least one frame.
    """
    images = {video_key(camera): ImageStatistics() for camera in spec.cameras}
    rows: list[dict[str, Any]] = []
    start_ns = 0
    with whole_folder(folder) as draft:
        with ExitStack() as stack:
            videos: dict[str, VideoWriter] = {}
            for camera, (width_px, height_px) in spec.cameras.items():
                path = draft / f"{camera}.mp4"
                videos[camera] = VideoWriter(path, width_px, height_px, spec.rate_hz)
                stack.callback(videos[camera].close)
            for index, frame in enumerate(frames):
                start_ns = start_ns or frame.observation.stamp_ns
                rows.append(_row(frame, start_ns, index, spec))
                for camera, image in frame.observation.images.items():
                    videos[camera].add(image)
                    images[video_key(camera)].add(image)
        write_columns(draft / _TABLE, _columns(rows, spec))
        facts = {**_facts(source, info), "first_frame_ns": start_ns, "length": len(rows)}
        content = {
            "spec": dataclasses.asdict(spec),
            "instruction": info.instruction,
            "facts": facts,
            "images": {name: _lists(counted.statistics()) for name, counted in images.items()},
        }
        (draft / _FACTS).write_text(json.dumps(content), encoding="utf-8")


def read_piece(folder: Path) -> Piece:
    """Read a piece that `write_piece` wrote."""
    content = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    images = {
        name: {key: np.array(value) for key, value in statistics.items()}
        for name, statistics in content["images"].items()
    }
    spec = DatasetSpec.from_json(content["spec"], str(folder))
    return Piece(folder, spec, content["instruction"], content["facts"], images)


def _row(frame: Frame, start_ns: int, index: int, spec: DatasetSpec) -> dict[str, Any]:
    seen = frame.observation
    stamps_ns = seen.image_stamps_ns.items()
    return {
        "observation.state": state_vector(seen, spec.state),
        "observation.joints": seen.joints,
        "action": frame.action,
        "stamp_ns": [seen.stamp_ns - start_ns],
        **{f"stamp_ns.{camera}": [stamp_ns - start_ns] for camera, stamp_ns in stamps_ns},
        "timestamp": [index / spec.rate_hz],
        "frame_index": [index],
    }


def _columns(rows: list[dict[str, Any]], spec: DatasetSpec) -> Columns:
    return {
        name: np.array([row[name] for row in rows], feature["dtype"])
        for name, feature in spec.columns.items()
        if name in rows[0]
    }


def _facts(source: str, info: EpisodeInfo) -> dict[str, Any]:
    kept = ("started_ns", "task", "operator", "seed", "success", "verdict", "software")
    return {"source": source, **{name: getattr(info, name) for name in kept}}


def _lists(statistics: Statistics) -> dict[str, Any]:
    return {name: value.tolist() for name, value in statistics.items()}
