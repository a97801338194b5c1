"""Opens the dataset of `carp train`, and prints what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from carp_ros.recording.demonstrations import Demonstrations
from carp_ros.recording.lerobot.features import ACTION, FeatureChoice
from carp_ros.recording.open_dataset import open_demonstrations
from carp_ros.training.ranks import rank

if TYPE_CHECKING:
    from carp_ros.cli.train import ForeignDatasetOptions

_MOST_LINES = 20


def open_dataset(
    dataset: Path, learn: ForeignDatasetOptions, *, with_images: bool
) -> Demonstrations:
    """Open a dataset.

    Args:
        dataset: Its folder.
        learn: The features to use.
        with_images: Whether images are needed.

    Raises:
        ValueError: If nothing in it can be used.
    """
    choice = FeatureChoice(learn.state, learn.action or ACTION, learn.cameras)
    data = open_demonstrations(dataset, choice, learn.rig, with_images=with_images)
    if rank() == 0:
        for line in data.refused[:_MOST_LINES]:
            print(f"left out: {line}")
        if len(data.refused) > _MOST_LINES:
            print(f"left out: {len(data.refused) - _MOST_LINES} more")
    return data
