"""Reads another program's LeRobot dataset for training."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from carp_ros.geometry import rot6d_error
from carp_ros.inference.layout import TOOL_NAMES, Layout
from carp_ros.inference.policy_spec import ObservationSpec
from carp_ros.recording.demonstrations import Frames, Image, UnreadableEpisodeError
from carp_ros.recording.lerobot.episodes import Episode, read_episodes, read_tasks
from carp_ros.recording.lerobot.features import FeatureChoice, ImageFeature, chosen_features
from carp_ros.recording.lerobot.info import INFO, read_info
from carp_ros.recording.lerobot.numbers import Numbers, read_numbers
from carp_ros.refusal import in_words, shortened

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
        tasks = read_tasks(root, info)
        episodes, refused = read_episodes(root, info, videos)
        tables, of_tables = read_numbers(episodes, features, info.fps, tasks)
        usable = [episode for episode in episodes if episode.index in tables]
        kept, of_videos = _with_videos(usable, info.fps)
        refused = [*features.refused, *refused, *of_tables, *of_videos]
        if not kept:
            why = next(iter(refused[len(features.refused) :]), "none is there")
            text = f"{root} has no episode that can be used ({why}); expected at least one"
            raise ValueError(shortened(text, 600))
        self._episodes = {episode.index: episode for episode in kept}
        self.numbers = _frames(kept, tables, tasks)
        self.state, of_state = _believed(features.state, self.numbers.states, "the state")
        self.action, of_action = _believed(features.action, self.numbers.actions, "the action")
        self.refused = tuple([*refused, *of_state, *of_action])
        self.rig = rig or _rig_named_after(info.robot_type or "")
        self.step_s = 1.0 / info.fps

    @property
    def contents(self) -> str:
        """A digest of info.json and of the files' sizes and modification times."""
        facts: list[object] = [(self.root / INFO).read_text(encoding="utf-8")]
        for episode in self._episodes.values():
            facts.append((episode.index, episode.length))
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
            from carp_ros.recording.lerobot.table_images import table_images

            return table_images(episode, camera.feature)
        from carp_ros.recording.video import read_segment

        return read_segment(episode.videos[camera.feature], episode.length, self._fps)


def _rig_named_after(robot: str) -> str:
    """Return what a rig may be called whose robot has this name."""
    return re.sub(r"[^\w .()+-]+", "_", robot, flags=re.ASCII).strip("_ .()+-")[:60] or "unknown"


def _with_videos(episodes: Iterable[Episode], fps: float) -> tuple[list[Episode], list[str]]:
    """Return the episodes with complete videos, and why the others can't be used."""
    kept, refused = [], []
    for episode in episodes:
        try:
            for segment in episode.videos.values():
                from carp_ros.recording.video import check_segment  # numbers need no PyAV

                check_segment(segment, episode.length, fps)
            kept.append(episode)
        except ValueError as error:
            refused.append(f"episode {episode.index}: {in_words(error)}")
    return kept, refused


def _frames(
    episodes: Iterable[Episode], numbers: Mapping[int, Numbers], names: Mapping[int, str]
) -> Frames:
    """Concatenate the numbers of all episodes; tasks with equal text become one task."""
    parts = [(episode.index, *numbers[episode.index]) for episode in episodes]
    texts = [names[number] or "unnamed" for *_, tasks in parts for number in tasks.tolist()]
    known = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return Frames(
        np.concatenate([states for _, states, _, _ in parts]),
        np.concatenate([actions for _, _, actions, _ in parts]),
        np.concatenate([np.full(len(tasks), index, np.int64) for index, *_, tasks in parts]),
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
    free = Layout("free", layout.names, ("?",) * len(layout))
    return free, [f"{what} as {layout.kind}: {why}. A policy of these numbers moves no arm"]


def _are_poses(numbers: npt.NDArray[np.float32]) -> bool:
    near = np.abs(numbers[:, :3]).max() <= _FARTHEST_M
    return bool(near and rot6d_error(numbers[:, 3:9].astype(np.float64)).max() <= _UNIT_WITHIN)
