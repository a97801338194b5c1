"""Statistics of a dataset's numbers and images for normalisation, in LeRobot's form.

For one episode, all are exact. For several, quantiles are the episodes' quantiles averaged with the
frame counts as weights, as in LeRobot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Statistics = dict[str, npt.NDArray[Any]]
"""One feature's `min`, `max`, `mean`, `std`, `count` of shape (1,), and the quantiles below."""

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
    """Accumulates a histogram of the images' pixels per channel."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, _LEVELS), np.int64)
        self._images = 0

    def add(self, image: npt.NDArray[np.uint8]) -> None:
        """Add an image, RGB of shape (H, W, 3)."""
        for channel in range(3):
            self._counts[channel] += np.bincount(image[..., channel].ravel(), minlength=_LEVELS)
        self._images += 1

    def statistics(self) -> Statistics:
        """Return the statistics of the pixel levels scaled to 0 to 1, each of shape (3, 1, 1).

        `count` counts images, not pixels.
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
            # the smallest level that this share of the pixels does not exceed
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
