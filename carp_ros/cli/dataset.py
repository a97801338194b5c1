"""`carp dataset`: describes a dataset in words and as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from carp_ros.evaluation.dataset_outliers import Outlier, find_outliers
from carp_ros.recording.dataset_reader import DatasetReader


@dataclass(frozen=True)
class DatasetCommand:
    """Show what is in a dataset of `carp convert`, and draw it on one page.

    The page shows every episode's path through the workspace, the episodes' lengths, the intervals
    between frames, the commands, first images, and outliers: episodes that are far shorter or
    longer than most, jump, have targets far from the tool, or never close the gripper.

    Attributes:
        path: The dataset's folder.
        picture: PNG file to write the page to; default: next to the dataset, with its name.
    """

    path: tyro.conf.Positional[Path]
    picture: Path | None = None


def main(command: DatasetCommand) -> int:
    """Print, draw, and return 0."""
    # matplotlib takes a second to import
    from carp_ros.evaluation.dataset_figure import write_dataset_figure

    dataset = DatasetReader(command.path)
    outliers = find_outliers(dataset)
    print(description(dataset, outliers))
    root = command.path.resolve()
    picture = command.picture or root.with_name(f"{root.name}.png")
    write_dataset_figure(picture, dataset, outliers)
    print(f"picture: {picture}")
    return 0


def description(dataset: DatasetReader, outliers: Sequence[Outlier]) -> str:
    """Describe a dataset in a few lines."""
    spec, rows = dataset.spec, dataset.episodes
    seconds = np.array([row["length"] for row in rows]) / spec.rate_hz
    tool = dataset.columns["observation.state"][:, :3]
    steps_ms = dataset.steps_ns() * 1e-6
    cameras = ", ".join(f"{name} {w}x{h}" for name, (w, h) in spec.cameras.items())
    reach = ", ".join(
        f"{axis} {low:.2f} to {high:.2f} m"
        for axis, low, high in zip("xyz", tool.min(axis=0), tool.max(axis=0))
    )
    lines = [
        f"{dataset.root}: {len(rows)} episodes, {seconds.sum():.0f} s at {spec.rate_hz} Hz",
        f"rig        {spec.rig} ({spec.robot}), {cameras}",
        *(f"task       {words}: {n}" for words, n in Counter(r["tasks"][0] for r in rows).items()),
        f"success    {_counted(row['success'] for row in rows)}",
        f"quality    {_counted(row['verdict'] for row in rows)}",
        f"length     {seconds.min():.1f} to {seconds.max():.1f} s, median {np.median(seconds):.1f}",
        f"workspace  {reach}",
    ]
    if len(steps_ms):
        low_ms, high_ms = np.percentile(steps_ms, (1, 99))
        lines.append(
            f"frames     {steps_ms.mean():.1f} ms apart,"
            f" 98 % within {low_ms:.1f} to {high_ms:.1f} ms"
        )
    lines += [
        f"odd        {outlier.episode} {rows[outlier.episode]['source']}:"
        f" {'; '.join(outlier.reasons)}"
        for outlier in outliers
    ]
    return "\n".join(lines)


def _counted(values: Iterable[bool | str | None]) -> str:
    """Return how often each value occurs."""
    words = {True: "yes", False: "no", None: "not known"}
    counts = Counter(values)
    return ", ".join(f"{words.get(value, value)} {count}" for value, count in counts.items())
