"""Opens the dataset of `carp train`, and prints what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from carp_ros.recording.demonstrations import Demonstrations
from carp_ros.recording.lerobot.features import ACTION, Choice
from carp_ros.recording.open_dataset import open_demonstrations
from carp_ros.training.ranks import rank

if TYPE_CHECKING:
    from carp_ros.cli.train import LearnFrom

_MOST_LINES = 20


def opened(dataset: Path, learn: LearnFrom, *, looks: bool) -> Demonstrations:
    """Open a dataset.

    Args:
        dataset: Its folder.
        learn: The features to use.
        looks: Whether images are needed.

    Raises:
        ValueError: If nothing in it can be used.
    """
    choice = Choice(learn.state, learn.action or ACTION, learn.cameras)
    data = open_demonstrations(dataset, choice, learn.rig, looks=looks)
    if rank() == 0:
        for line in data.refused[:_MOST_LINES]:
            print(f"left out: {line}")
        if len(data.refused) > _MOST_LINES:
            print(f"left out: {len(data.refused) - _MOST_LINES} more")
    return data
