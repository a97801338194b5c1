"""A dataset on one page: where the tool went, what was commanded, when frames were taken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from carp_ros.evaluation.dataset_outliers import Outlier
from carp_ros.recording.dataset_reader import DatasetReader
from carp_ros.types import Array

_SIZE_IN = (17.0, 22.0)
_DPI = 100
_INK, _QUIET, _FILL, _ODD, _BAD = "#222222", "#777777", "#4c78a8", "#e08214", "#b2182b"
_COLOURS = mpl.colormaps["viridis"]
_PICTURES = 24
_PICTURES_A_ROW = 12
_MOST_REASONS = 8
_CLOSED = 0.5


def write_dataset_figure(path: Path, dataset: DatasetReader, outliers: Sequence[Outlier]) -> None:
    """Draw a dataset and write it as PNG.

    Raises:
        ValueError: If the file cannot be written.
    """
    figure = dataset_figure(dataset, outliers)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        FigureCanvasAgg(figure).print_png(path)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error


def dataset_figure(dataset: DatasetReader, outliers: Sequence[Outlier]) -> Figure:
    """Return the page."""
    with mpl.rc_context(
        {
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": _QUIET,
            "text.color": _INK,
        }
    ):
        figure = Figure(figsize=_SIZE_IN, dpi=_DPI)
        rows = figure.add_gridspec(
            5, 1, height_ratios=(7.4, 3, 3, 6.2, 1.9), hspace=0.34,
            left=0.05, right=0.97, top=0.935, bottom=0.015,
        )  # fmt: skip
        _draw_heading(figure, dataset)
        _draw_trajectories(figure, rows[0], dataset)
        _draw_actions(figure, rows[1], dataset)
        _draw_times(figure, rows[2], dataset)
        _draw_first_images(figure, rows[3], dataset, outliers)
        _draw_outliers(figure, rows[4], dataset, outliers)
    return figure


def _draw_heading(figure: Figure, dataset: DatasetReader) -> None:
    spec, rows = dataset.spec, dataset.episodes
    frames = sum(row["length"] for row in rows)
    tasks = list(dict.fromkeys(row["tasks"][0] for row in rows))
    cameras = ", ".join(f"{name} {w}x{h}" for name, (w, h) in spec.cameras.items())
    words = "  |  ".join(tasks[:3]) + (f"  | and {len(tasks) - 3} more" if len(tasks) > 3 else "")
    figure.text(0.05, 0.978, dataset.root.name, fontsize=22, weight="bold")
    figure.text(
        0.05,
        0.962,
        f"{len(rows)} episodes, {frames} frames at {spec.rate_hz} Hz,"
        f" {frames / spec.rate_hz / 60:.1f} min   -   {spec.rig} ({spec.robot})   -   {cameras}",
        fontsize=12,
    )
    figure.text(0.05, 0.949, words, fontsize=12, color=_QUIET, style="italic")


def _draw_trajectories(figure: Figure, place: SubplotSpec, dataset: DatasetReader) -> None:
    """Draw the tool's way in every episode from above and from the side, one colour each."""
    cells = place.subgridspec(1, 2, wspace=0.12)
    for cell, axis, title in (
        (cells[0], 1, "from above (x, y)"),
        (cells[1], 2, "from the side (x, z)"),
    ):
        axes = figure.add_subplot(cell)
        for index in range(len(dataset.episodes)):
            columns = dataset.episode(index)
            way = columns["observation.state"][:, (0, axis)]
            colour = _COLOURS(index / max(len(dataset.episodes) - 1, 1))
            axes.plot(way[:, 0], way[:, 1], color=colour, linewidth=0.9, alpha=0.6)
            axes.plot(*way[0], "o", color=colour, markersize=3)
            closed = np.flatnonzero(np.diff(columns["action"][:, 9] > _CLOSED))
            if len(closed):
                axes.plot(*way[closed[0]], "v", color=_BAD, markersize=5, alpha=0.8)
            if len(closed) > 1:
                axes.plot(*way[closed[-1]], "^", color=_INK, markersize=5, alpha=0.8)
        axes.set_aspect("equal", "datalim")
        axes.set_title(f"tool, {title}: one colour an episode, first dark, last light")
        axes.set_xlabel("x [m]")
        axes.set_ylabel(f"{'xyz'[axis]} [m]")
        axes.grid(alpha=0.25)
    handles = [
        axes.plot([], [], "o", color=_QUIET, markersize=4, label="begin")[0],
        axes.plot([], [], "v", color=_BAD, markersize=6, label="gripper closes")[0],
        axes.plot([], [], "^", color=_INK, markersize=6, label="gripper opens last")[0],
    ]
    axes.legend(handles=handles, loc="upper right", frameon=False)


def _draw_actions(figure: Figure, place: SubplotSpec, dataset: DatasetReader) -> None:
    action = dataset.columns["action"]
    speeds, turns = _rates(dataset)
    quantities = (
        ("target x [m]", action[:, 0]),
        ("target y [m]", action[:, 1]),
        ("target z [m]", action[:, 2]),
        ("target speed [m/s]", speeds),
        ("target turn rate [rad/s]", turns),
        ("gripper, 0 open to 1 closed", action[:, 9]),
    )
    cells = place.subgridspec(1, len(quantities), wspace=0.22)
    for number, (title, values) in enumerate(quantities):
        axes = figure.add_subplot(cells[number])
        _draw_histogram(axes, values)
        axes.set_title(title)
    figure.axes[-len(quantities)].set_ylabel("frames")


def _draw_times(figure: Figure, place: SubplotSpec, dataset: DatasetReader) -> None:
    cells = place.subgridspec(1, 3, wspace=0.16)
    lengths = figure.add_subplot(cells[0])
    rows = dataset.episodes
    seconds = [row["length"] / dataset.spec.rate_hz for row in rows]
    colours = [_BAD if row["success"] is False else _FILL for row in rows]
    lengths.bar(range(len(rows)), seconds, color=colours, width=0.9)
    lengths.axhline(float(np.median(seconds)), color=_INK, linewidth=0.8, linestyle=":")
    failed = sum(row["success"] is False for row in rows)
    lengths.set_title(
        f"length of each episode [s]: median {np.median(seconds):.1f}"
        + (f"; {failed} failed, in red" if failed else "")
    )
    lengths.set_xlabel("episode")
    intervals = figure.add_subplot(cells[1])
    stamps_ns = dataset.columns["stamp_ns"][:, 0]
    steps_ms = np.diff(stamps_ns)[np.diff(dataset.columns["episode_index"][:, 0]) == 0] * 1e-6
    _draw_histogram(intervals, steps_ms)
    intervals.set_title(
        f"true time between frames [ms]: {steps_ms.mean():.1f}, at most {steps_ms.max():.0f}"
        if len(steps_ms)
        else "true time between frames: one frame each"
    )
    skews = figure.add_subplot(cells[2])
    others = [camera for camera in dataset.spec.cameras if camera != dataset.spec.reference]
    for camera in others:
        skew_ms = (dataset.columns[f"stamp_ns.{camera}"][:, 0] - stamps_ns) * 1e-6
        _draw_histogram(skews, skew_ms, label=camera)
    skews.set_title(f"image against that of {dataset.spec.reference} [ms]")
    if others:
        skews.legend(frameon=False)


def _draw_first_images(
    figure: Figure, place: SubplotSpec, dataset: DatasetReader, outliers: Sequence[Outlier]
) -> None:
    """Draw what the cameras saw first in episodes spread over the dataset, one above the other."""
    count = len(dataset.episodes)
    shown = np.unique(np.linspace(0, count - 1, min(count, _PICTURES)).round().astype(int))
    odd = {outlier.episode for outlier in outliers}
    cells = place.subgridspec(-(-_PICTURES // _PICTURES_A_ROW), _PICTURES_A_ROW, wspace=0.05)
    for position, index in enumerate(shown.tolist()):
        axes = figure.add_subplot(cells[divmod(position, _PICTURES_A_ROW)])
        images = [dataset.image(index, camera, 0) for camera in dataset.spec.cameras]
        width_px = min(image.shape[1] for image in images)
        axes.imshow(np.vstack([image[:, :width_px] for image in images]))
        failed = dataset.episodes[index]["success"] is False
        colour = _BAD if failed else _ODD if index in odd else _INK
        axes.set_title(f"{index}{' failed' if failed else ''}", color=colour, fontsize=9, pad=2)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(visible=True, color=colour, linewidth=2 if colour != _INK else 0.3)


def _draw_outliers(
    figure: Figure, place: SubplotSpec, dataset: DatasetReader, outliers: Sequence[Outlier]
) -> None:
    axes = figure.add_subplot(place)
    axes.axis("off")
    lines = [
        f"{outlier.episode}  {dataset.episodes[outlier.episode]['source']}: "
        + "; ".join(outlier.reasons)
        for outlier in outliers[:_MOST_REASONS]
    ]
    if len(outliers) > _MOST_REASONS:
        lines.append(f"and {len(outliers) - _MOST_REASONS} more: see `carp dataset`")
    axes.set_title(
        f"{len(outliers)} odd episodes, marked in orange above" if outliers else "no odd episodes",
        color=_ODD if outliers else _INK,
    )
    axes.text(0.0, 0.98, "\n".join(lines), va="top", fontsize=10, linespacing=1.5)


def _draw_histogram(axes: Axes, values: Array, label: str | None = None) -> None:
    axes.hist(
        values, bins=40, color=None if label else _FILL, alpha=0.6 if label else 1.0, label=label
    )
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(labelsize=9)


def _rates(dataset: DatasetReader) -> tuple[Array, Array]:
    """Return how fast targets move in [m/s] and turn in [rad/s], from frame to frame."""
    action = dataset.columns["action"].astype(np.float64)
    within = np.diff(dataset.columns["episode_index"][:, 0]) == 0
    steps_s = np.diff(dataset.columns["stamp_ns"][:, 0])[within] * 1e-9
    steps_m = np.linalg.norm(np.diff(action[:, :3], axis=0), axis=1)[within]
    x, y = action[:, 3:6], action[:, 6:9]
    axes = np.stack([x, y, np.cross(x, y)], axis=2)
    traces = np.einsum("nij,nij->n", axes[1:], axes[:-1])[within]
    turns_rad = np.arccos(np.clip((traces - 1) / 2, -1.0, 1.0))
    return steps_m / steps_s, turns_rad / steps_s
