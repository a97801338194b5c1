"""What normalisation needs to know of a dataset's numbers and images, in LeRobot's form.

Of an episode all is exact. Of several, quantiles are the mean of the episodes', weighted by their
frames, as LeRobot's are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Statistics = dict[str, npt.NDArray[Any]]
"""Of one feature: `min`, `max`, `mean`, `std`, `count` (1,), and the quantiles below."""

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

_LEVELS = 256


def column_statistics(column: npt.NDArray[Any]) -> Statistics:
    """Return the statistics of a column of shape (N, D), each of shape (D,)."""
    numbers = column.astype(np.float64)
    quantiles = np.quantile(numbers, list(QUANTILES.values()), axis=0)
    return {
        "min": numbers.min(axis=0),
        "max": numbers.max(axis=0),
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        "count": np.array([len(numbers)]),
        **dict(zip(QUANTILES, quantiles)),
    }


class ImageStatistics:
    """Counts the pixels of images, level by level and channel by channel."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, _LEVELS), np.int64)
        self._images = 0

    def add(self, image: npt.NDArray[np.uint8]) -> None:
        """Add an image, RGB of shape (H, W, 3)."""
        for channel in range(3):
            self._counts[channel] += np.bincount(image[..., channel].ravel(), minlength=_LEVELS)
        self._images += 1

    def statistics(self) -> Statistics:
        """Return the statistics of the levels on a scale of 0 to 1, each of shape (3, 1, 1).

        `count` is of images, not pixels.
        """
        levels = np.arange(_LEVELS) / (_LEVELS - 1)
        shares = self._counts / self._counts.sum(axis=1, keepdims=True)
        mean = shares @ levels
        reached = self._counts.cumsum(axis=1)
        pixels = reached[0, -1]
        present = self._counts > 0
        found = {
            "min": levels[present.argmax(axis=1)],
            "max": levels[_LEVELS - 1 - present[:, ::-1].argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(np.maximum(shares @ levels**2 - mean**2, 0.0)),
            # the smallest level that so many pixels do not exceed
            **{
                name: levels[(reached < share * pixels).sum(axis=1)]
                for name, share in QUANTILES.items()
            },
        }
        whole = {name: values.reshape(3, 1, 1) for name, values in found.items()}
        return {**whole, "count": np.array([self._images])}


def merged_statistics(episodes: Sequence[Mapping[str, Statistics]]) -> dict[str, Statistics]:
    """Return the statistics of all episodes together, by feature."""
    return {feature: _merged([episode[feature] for episode in episodes]) for feature in episodes[0]}


def _merged(parts: Sequence[Statistics]) -> Statistics:
    counts = np.concatenate([part["count"] for part in parts])
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    weights = counts / counts.sum()

    def weighted(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.tensordot(weights, values, axes=1)

    mean = weighted(stacked["mean"])
    return {
        "min": stacked["min"].min(axis=0),
        "max": stacked["max"].max(axis=0),
        "mean": mean,
        "std": np.sqrt(weighted(stacked["std"] ** 2 + (stacked["mean"] - mean) ** 2)),
        "count": np.array([counts.sum()]),
        **{name: weighted(stacked[name]) for name in QUANTILES},
    }
