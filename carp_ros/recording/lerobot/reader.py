"""Reads another program's LeRobot dataset for training."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carp_ros.geometry import rot6d_error
from carp_ros.inference.layout import TOOL_NAMES, UNKNOWN_UNIT, Layout
from carp_ros.inference.policy_spec import ObservationSpec
from carp_ros.recording.demonstrations import Frames, Image, UnreadableEpisodeError
from carp_ros.recording.lerobot.episodes import Episode, read_episodes
from carp_ros.recording.lerobot.features import FeatureChoice, ImageFeature, chosen_features
from carp_ros.recording.lerobot.info import INFO, read_info
from carp_ros.recording.lerobot.numbers import Numbers, read_numbers
from carp_ros.recording.lerobot.tasks import read_tasks
from carp_ros.recording.lerobot.videos import with_videos
from carp_ros.recording.tables import Cells
from carp_ros.recording.video_segment import Segment
from carp_ros.refusal import in_words, printable, shortened

_FULL_TURN = 6.5  # [rad], slightly beyond any joint limit of our arms
_FARTHEST_M = 10.0
_UNIT_WITHIN = 0.01


class LeRobotReader:
    """A dataset in LeRobot's format v2.1 or v3.0; a `Demonstrations`.

    Episodes and features that can't be used are left out and listed in `refused`.

    Args:
        root: Its folder.
        choice: The features to learn from.
        rig: Name of the rig that recorded it; empty for the dataset's own name of the robot.
        with_images: Whether images are needed.

    Raises:
        ValueError: If it is no such dataset, or nothing in it can be used.
    """

    def __init__(
        self, root: Path, choice: FeatureChoice, rig: str = "", *, with_images: bool = True
    ) -> None:
        self.root = root
        info = read_info(root)
        self._fps = info.fps
        features = chosen_features(info.features, choice)
        self._cameras = {camera.name: camera for camera in features.cameras if with_images}
        videos = [c.feature for c in self._cameras.values() if c.stored == "video"]
        tasks, of_tasks = read_tasks(root, info)
        episodes, of_episodes = read_episodes(root, info, videos)
        tables, of_tables = read_numbers(
            episodes, features, self._cameras.values(), info.fps, tasks
        )
        usable = [_begun(e, tables[e.index].first_s) for e in episodes if e.index in tables]
        kept, of_videos = with_videos(usable, self._cameras.values(), info.fps)
        lost = [*of_tasks, *of_episodes, *of_tables, *of_videos]
        if not kept:
            why = printable(next(iter(lost), "none is there"))
            text = f"{root} has no episode that can be used ({why}); expected at least one"
            raise ValueError(shortened(text, 600))
        self._episodes = {episode.index: episode for episode in kept}
        self._rows = {episode.index: tables[episode.index].rows for episode in kept}
        self._cells: tuple[Path, str, Cells] | None = None
        self.numbers = _frames(kept, tables, tasks)
        self.state, of_state = _believed(features.state, self.numbers.states, "the state")
        self.action, of_action = _believed(features.action, self.numbers.actions, "the action")
        refused = [*features.refused, *lost, *of_state, *of_action]
        self.refused = tuple(map(printable, refused))
        self.rig = rig or _rig_named_after(info.robot_type)
        self.step_s = 1.0 / info.fps

    @property
    def contents(self) -> str:
        """A digest of info.json, and of what is used of which files with what sizes and times."""
        facts: list[object] = [(self.root / INFO).read_text(encoding="utf-8")]
        facts += [(camera.name, camera.feature) for camera in self._cameras.values()]
        for episode in self._episodes.values():
            begins_s = [part.start_s for part in episode.videos.values()]
            facts.append((episode.index, episode.length, begins_s))
            for path in (episode.table, *(part.path for part in episode.videos.values())):
                status = path.stat()
                facts.append((str(path.relative_to(self.root)), status.st_size, status.st_mtime_ns))
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras' names, in the dataset's order."""
        return tuple(self._cameras)

    @property
    def observation(self) -> ObservationSpec:
        """The first camera is the reference; all images of a frame count as simultaneous."""
        return ObservationSpec(next(iter(self._cameras), None))

    @property
    def dataset_px(self) -> Mapping[str, tuple[int, int]]:
        """Width and height of the dataset's images, which may differ from the camera's own size."""
        return {name: (camera.width_px, camera.height_px) for name, camera in self._cameras.items()}

    def images(self, camera: str, episode: int) -> Iterator[Image]:
        """Yield a camera's images of an episode's frames in order, RGB of shape (H, W, 3).

        Raises:
            UnreadableEpisodeError: If one can't be decoded.
        """
        try:
            yield from self._images(self._cameras[camera], self._episodes[episode])
        except ValueError as error:
            raise UnreadableEpisodeError(
                episode, f"episode {episode}: camera {camera}: {in_words(error)}"
            ) from error

    def _images(self, camera: ImageFeature, episode: Episode) -> Iterator[Image]:
        if camera.stored == "image":
            from carp_ros.recording.lerobot.table_images import table_images  # imports OpenCV

            cells = self._cells_of(episode.table, camera.feature)
            return table_images(cells, self._rows[episode.index].tolist(), camera)
        from carp_ros.recording.video import read_segment

        segment = episode.videos[camera.feature]
        return _of_size(camera, read_segment(segment, episode.length, self._fps))

    def _cells_of(self, table: Path, feature: str) -> Cells:
        """Return the cells of a column; those of the last one asked for are read on."""
        if self._cells is None or self._cells[:2] != (table, feature):
            self._cells = table, feature, Cells(table, feature)
        return self._cells[2]


def _of_size(camera: ImageFeature, images: Iterable[Image]) -> Iterator[Image]:
    for image in images:
        camera.require_size(image.shape[1], image.shape[0])
        yield image


def _begun(episode: Episode, first_s: float) -> Episode:
    """Return an episode whose videos begin with the first frame of its table.

    That is not their own beginning if frames were cut off the table and not the videos.
    """
    videos = {
        key: Segment(part.path, part.start_s + first_s) for key, part in episode.videos.items()
    }
    return replace(episode, videos=videos)


def _rig_named_after(robot: object) -> str:
    """Return what a rig may be called whose robot has this name."""
    if not isinstance(robot, str):
        return "unknown"
    return re.sub(r"[^\w .()+-]+", "_", robot, flags=re.ASCII).strip("_ .()+-")[:60] or "unknown"


def _frames(
    episodes: Iterable[Episode], numbers: Mapping[int, Numbers], names: Mapping[int, str]
) -> Frames:
    """Concatenate the numbers of all episodes; tasks with equal text become one task."""
    parts = {episode.index: numbers[episode.index] for episode in episodes}
    texts = [names[number] for part in parts.values() for number in part.tasks.tolist()]
    known = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return Frames(
        np.concatenate([part.states for part in parts.values()]),
        np.concatenate([part.actions for part in parts.values()]),
        np.repeat(np.array(list(parts), np.int64), [len(part.tasks) for part in parts.values()]),
        np.array([known[text] for text in texts], np.int64),
        tuple(known),
    )


def _believed(
    layout: Layout, numbers: npt.NDArray[np.float32], what: str
) -> tuple[Layout, list[str]]:
    """Return the layout if the values agree with it; else a free layout, and the reason."""
    why = ""
    low, high = numbers.min(axis=0), numbers.max(axis=0)
    if layout.kind == "joints" and np.abs(numbers[:, :-1]).max() > _FULL_TURN:
        why = f"joints reach {np.abs(numbers[:, :-1]).max():.4g}; expected radians"
    elif layout.kind == "tool" and not _are_poses(numbers):
        why = f"positions or rotations are invalid; expected {', '.join(TOOL_NAMES)}"
    elif layout.kind != "free" and (low[-1] < -0.01 or high[-1] > 1.01):
        why = f"gripper is {low[-1]:.4g} to {high[-1]:.4g}; expected 0, open, to 1, closed"
    if not why:
        return layout, []
    free = Layout("free", layout.names, (UNKNOWN_UNIT,) * len(layout))
    return free, [f"{what} as {layout.kind}: {why}. A policy of these numbers moves no arm"]


def _are_poses(numbers: npt.NDArray[np.float32]) -> bool:
    near = np.abs(numbers[:, :3]).max() <= _FARTHEST_M
    return bool(near and rot6d_error(numbers[:, 3:9].astype(np.float64)).max() <= _UNIT_WITHIN)
