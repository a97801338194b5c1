"""Finds episodes that a person should inspect before training on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carp_ros.recording.dataset_reader import DatasetReader
from carp_ros.recording.tables import Columns

_JUMP_M_S = 0.5  # twice what a rig allows by default
_LEAD_M = 0.1
_PATH_M = 0.05
_CLOSED = 0.5
_LENGTHS_OFF = 3.5  # robust deviations
_LENGTH_SHARE_OFF = 0.25


@dataclass(frozen=True)
class Outlier:
    """An episode's number in the dataset, and what is unusual about it, in words."""

    episode: int
    reasons: tuple[str, ...]


def find_outliers(dataset: DatasetReader) -> list[Outlier]:
    """Return the unusual episodes, in order."""
    lengths_s = [row["length"] / dataset.spec.rate_hz for row in dataset.episodes]
    found = []
    for index, length_s in enumerate(lengths_s):
        columns = dataset.episode(index)
        reasons = (
            *odd_length(length_s, lengths_s),
            *odd_motion(columns, dataset.spec.rate_hz),
            *odd_gripper(columns),
        )
        if reasons:
            found.append(Outlier(index, reasons))
    return found


def odd_length(length_s: float, lengths_s: list[float]) -> list[str]:
    """Return a reason if an episode is far shorter or longer than most."""
    median_s = float(np.median(lengths_s))
    spread_s = 1.4826 * float(np.median(np.abs(np.array(lengths_s) - median_s)))
    off_s = abs(length_s - median_s)
    if off_s > max(_LENGTHS_OFF * spread_s, _LENGTH_SHARE_OFF * median_s):
        return [f"{length_s:.1f} s long, the median is {median_s:.1f} s"]
    return []


def odd_motion(columns: Columns, rate_hz: int) -> list[str]:
    """Return reasons if the tool stood still or jumped, or its target was far away."""
    tool = columns["observation.state"][:, :3]
    steps_m = np.linalg.norm(np.diff(tool, axis=0), axis=1)
    reasons = []
    if steps_m.sum() < _PATH_M:
        reasons.append(f"tool moved {steps_m.sum() * 1000:.0f} mm in all")
    fastest = int(steps_m.argmax()) if len(steps_m) else 0
    if len(steps_m) and steps_m[fastest] * rate_hz > _JUMP_M_S:
        reasons.append(
            f"tool jumped {steps_m[fastest]:.2f} m within a frame at {fastest / rate_hz:.1f} s"
        )
    leads_m = np.linalg.norm(columns["action"][:, :3] - tool, axis=1)
    if leads_m.max() > _LEAD_M:
        reasons.append(
            f"target {leads_m.max():.2f} m from the tool at {leads_m.argmax() / rate_hz:.1f} s"
        )
    return reasons


def odd_gripper(columns: Columns) -> list[str]:
    """Return a reason if the gripper was never commanded to close."""
    return ["gripper never closed"] if columns["action"][:, 9].max() < _CLOSED else []
