"""Opens a dataset for training, whichever program wrote it."""

from __future__ import annotations

from pathlib import Path

from carp_ros.recording.dataset_files import OURS
from carp_ros.recording.dataset_reader import DatasetReader
from carp_ros.recording.demonstrations import Demonstrations
from carp_ros.recording.lerobot.features import FeatureChoice
from carp_ros.recording.lerobot.reader import LeRobotReader


def open_demonstrations(
    root: Path, features: FeatureChoice | None = None, rig: str = "", *, with_images: bool = True
) -> Demonstrations:
    """Open a dataset of `carp convert`, or one in LeRobot's format v2.1 or v3.0.

    Args:
        root: Its folder.
        features: For another program's dataset: the features to learn from.
        rig: For another program's dataset: name of the rig that recorded it.
        with_images: Whether images are needed.

    Raises:
        ValueError: If it is neither, or nothing in it can be used.
    """
    features = features or FeatureChoice()
    if not (root / OURS).is_file():
        return LeRobotReader(root, features, rig, with_images=with_images)
    if features != FeatureChoice() or rig:
        raise ValueError(
            f"{root} is a dataset of `carp convert`, which says its state, action, cameras and rig;"
            " expected none of --state, --action, --cameras and --rig"
        )
    return DatasetReader(root)
