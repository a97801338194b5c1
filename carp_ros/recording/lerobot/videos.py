"""Checks that the videos of a LeRobot dataset have the images of its episodes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from carp_ros.recording.lerobot.episodes import Episode
from carp_ros.recording.lerobot.features import ImageFeature
from carp_ros.refusal import in_words, refusing

if TYPE_CHECKING:
    from carp_ros.recording.video import VideoContent


def with_videos(
    episodes: Iterable[Episode], cameras: Iterable[ImageFeature], fps: float
) -> tuple[list[Episode], list[str]]:
    """Return the episodes with complete videos, and why the others can't be used.

    Each video is read once, whichever number of episodes it holds.

    Args:
        episodes: The episodes.
        cameras: The cameras used.
        fps: Frames per second.
    """
    by_feature = {camera.feature: camera for camera in cameras}
    known: dict[Path, VideoContent | ValueError] = {}
    kept, refused = [], []
    for episode in episodes:
        try:
            for feature, segment in episode.videos.items():
                content = _content(segment.path, known)
                with refusing(ValueError, str(segment.path)):
                    by_feature[feature].require_size(content.width_px, content.height_px)
                content.require_images(segment.start_s, episode.length, fps)
            kept.append(episode)
        except ValueError as error:
            refused.append(f"episode {episode.index}: {in_words(error)}")
    return kept, refused


def _content(path: Path, known: dict[Path, VideoContent | ValueError]) -> VideoContent:
    """Return what a video holds; read it only the first time."""
    if path not in known:
        from carp_ros.recording.video import video_content  # numbers need no PyAV

        try:
            known[path] = video_content(path)
        except ValueError as error:
            known[path] = error
    found = known[path]
    if isinstance(found, ValueError):
        raise found
    return found
