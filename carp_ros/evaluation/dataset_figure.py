"""Draws a dataset on one page: tool paths, commands, frame timing, first images, outliers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import RcKeyType

from carp_ros.evaluation.dataset_outliers import Outlier
from carp_ros.recording.dataset_reader import DatasetReader
from carp_ros.types import Array

_WIDTH_IN, _MARGIN_IN, _DPI = 17.0, 0.8, 100
_HEADING_IN, _WAYS_IN, _HISTOGRAMS_IN, _GAP_IN, _LINE_IN = 1.5, 6.6, 2.4, 0.85, 0.24
_INK, _QUIET, _FILL, _ODD, _BAD = "#222222", "#777777", "#4c78a8", "#e08214", "#b2182b"
_COLOURS = mpl.colormaps["viridis"]
_LIGHTEST = 0.88  # of the colour map; lighter colours are hard to see on white
_IMAGES = 24
_IMAGES_PER_ROW = 12
_MOST_REASONS = 12
_CLOSED = 0.5
_STANDING_M_S, _STANDING_RAD_S = 0.002, 0.005
_STYLE: dict[RcKeyType, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _QUIET,
    "text.color": _INK,
}


def write_dataset_figure(path: Path, dataset: DatasetReader, outliers: Sequence[Outlier]) -> None:
    """Draw a dataset and write it as PNG.

    Raises:
        ValueError: If the file cannot be written.
    """
    with mpl.rc_context(_STYLE):
        figure = _Page(dataset, outliers).figure
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        FigureCanvasAgg(figure).print_png(path)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error


class _Page:
    """Lays out the parts from top to bottom, each with the height it needs."""

    def __init__(self, dataset: DatasetReader, outliers: Sequence[Outlier]) -> None:
        self._dataset = dataset
        self._outliers = outliers
        count = min(len(dataset.episodes), _IMAGES)
        self._rows = -(-count // _IMAGES_PER_ROW)
        self._columns = max(-(-count // self._rows), 6)
        image_in = (_WIDTH_IN - 2 * _MARGIN_IN) / self._columns
        tallness = sum(height / width for width, height in dataset.spec.cameras.values())
        images_in = self._rows * (image_in * tallness + 0.25)
        reasons_in = _LINE_IN * (min(len(outliers), _MOST_REASONS) + 2)
        self._height_in = (
            _HEADING_IN + _WAYS_IN + 2 * _HISTOGRAMS_IN + images_in + reasons_in + 5 * _GAP_IN
        )
        self.figure = Figure(figsize=(_WIDTH_IN, self._height_in), dpi=_DPI)
        self._top_in = _HEADING_IN
        self._draw_heading()
        self._draw_ways(self._part(_WAYS_IN, 1, 2, wspace=0.1, width_ratios=(1.45, 1)))
        self._draw_actions(self._part(_HISTOGRAMS_IN, 1, 6, wspace=0.22))
        self._draw_times(self._part(_HISTOGRAMS_IN, 1, 3, wspace=0.16))
        self._draw_first_images(
            self._part(images_in, self._rows, self._columns, wspace=0.04, hspace=0.12)
        )
        self._draw_reasons()

    def _part(self, height_in: float, rows: int, columns: int, **spacing: Any) -> GridSpec:
        """Add a grid of cells below the parts so far."""
        top = 1 - self._top_in / self._height_in
        bottom = 1 - (self._top_in + height_in) / self._height_in
        self._top_in += height_in + _GAP_IN
        side = _MARGIN_IN / _WIDTH_IN
        return self.figure.add_gridspec(
            rows, columns, left=side, right=1 - side, top=top, bottom=bottom, **spacing
        )

    def _text(self, from_top_in: float, text: str, **style: Any) -> None:
        height = 1 - from_top_in / self._height_in
        self.figure.text(_MARGIN_IN / _WIDTH_IN, height, text, va="top", **style)

    def _draw_heading(self) -> None:
        spec, rows = self._dataset.spec, self._dataset.episodes
        frames = sum(row["length"] for row in rows)
        tasks = list(dict.fromkeys(row["tasks"][0] for row in rows))
        cameras = ", ".join(f"{name} {w}x{h}" for name, (w, h) in spec.cameras.items())
        more = [f"and {len(tasks) - 3} more"] if len(tasks) > 3 else []
        length = f"{frames} frames at {spec.rate_hz} Hz, {frames / spec.rate_hz / 60:.1f} min"
        facts = (f"{len(rows)} episodes, {length}", f"{spec.rig} ({spec.robot})", cameras)
        self._text(0.3, self._dataset.root.resolve().name, fontsize=22, weight="bold")
        self._text(0.72, "   |   ".join(facts), fontsize=12)
        self._text(0.98, "   |   ".join([*tasks[:3], *more]), fontsize=12, color=_QUIET)

    def _draw_ways(self, cells: GridSpec) -> None:
        """Draw the tool's path in every episode, from above and from the side."""
        above = self.figure.add_subplot(cells[0])
        _draw_paths(above, self._dataset, 1, 0)
        above.invert_xaxis()  # x away from the robot, y to its left
        above.set_title("the tool from above, the robot below; one colour an episode, first dark")
        side = self.figure.add_subplot(cells[1])
        _draw_paths(side, self._dataset, 0, 2)
        side.set_title("the tool from the side")
        marks = (
            ("o", _QUIET, "begin"),
            ("v", _BAD, "gripper closes first"),
            ("^", _INK, "gripper opens last"),
        )
        for mark, colour, label in marks:
            side.plot([], [], mark, color=colour, markersize=6, label=label)
        side.legend(loc="upper right", frameon=False)

    def _draw_actions(self, cells: GridSpec) -> None:
        action = self._dataset.columns["action"]
        speeds, turns = _rates(self._dataset)
        moving, turning = speeds > _STANDING_M_S, turns > _STANDING_RAD_S
        quantities = (
            ("target x [m]", action[:, 0]),
            ("target y [m]", action[:, 1]),
            ("target z [m]", action[:, 2]),
            (f"speed [m/s], {moving.mean():.0%} moving", speeds[moving]),
            (f"turn rate [rad/s], {turning.mean():.0%} turning", turns[turning]),
            ("gripper, 0 open to 1 closed", action[:, 9]),
        )
        for number, (title, values) in enumerate(quantities):
            axes = self.figure.add_subplot(cells[number])
            _draw_histogram(axes, values)
            axes.set_title(title)
            if number == 0:
                axes.set_ylabel("frames")

    def _draw_times(self, cells: GridSpec) -> None:
        dataset = self._dataset
        _draw_lengths(self.figure.add_subplot(cells[0]), dataset)
        intervals = self.figure.add_subplot(cells[1])
        period_ms = 1e3 / dataset.spec.rate_hz
        steps_ms = dataset.steps_ns() * 1e-6
        if len(steps_ms):
            reach_ms = max(period_ms / 2, float(np.abs(steps_ms - period_ms).max()))
            span_ms = (period_ms - reach_ms, period_ms + reach_ms)
            _draw_histogram(intervals, steps_ms, span=span_ms)
            title = f"true time between frames [ms], {steps_ms.min():.0f} to {steps_ms.max():.0f}"
            intervals.set_title(title)
        skews = self.figure.add_subplot(cells[2])
        limit_ms = dataset.spec.skew_s * 1e3
        for camera in dataset.spec.cameras:
            if camera != dataset.spec.reference:
                skew_ms = dataset.columns[f"stamp_ns.{camera}"] - dataset.columns["stamp_ns"]
                _draw_histogram(skews, skew_ms[:, 0] * 1e-6, (-limit_ms, limit_ms), camera)
                skews.legend(frameon=False)
        skews.set_title(f"capture after that of {dataset.spec.reference} [ms], within the limit")

    def _draw_first_images(self, cells: GridSpec) -> None:
        """Draw the cameras' first images, stacked, of episodes spread over the dataset."""
        dataset = self._dataset
        count = len(dataset.episodes)
        shown = np.unique(np.linspace(0, count - 1, min(count, _IMAGES)).round().astype(int))
        odd = {outlier.episode for outlier in self._outliers}
        for position, index in enumerate(shown.tolist()):
            axes = self.figure.add_subplot(cells[divmod(position, self._columns)])
            images = [dataset.image(index, camera, 0) for camera in dataset.spec.cameras]
            width_px = min(image.shape[1] for image in images)
            axes.imshow(np.vstack([image[:, :width_px] for image in images]))
            failed = dataset.episodes[index]["success"] is False
            colour = _BAD if failed else _ODD if index in odd else _INK
            axes.set_title(f"{index}{' failed' if failed else ''}", color=colour, fontsize=9, pad=2)
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set(visible=True, color=colour, linewidth=0.3 if colour == _INK else 2.5)

    def _draw_reasons(self) -> None:
        from_top_in = self._top_in - 0.5 * _GAP_IN
        outliers, rows = self._outliers, self._dataset.episodes
        if not outliers:
            self._text(from_top_in, "no odd episodes", fontsize=11)
            return
        more = len(outliers) - _MOST_REASONS
        title = f"{len(outliers)} odd episodes, framed above" + (
            f", the first {_MOST_REASONS} here; `carp dataset` names all" if more > 0 else ""
        )
        lines = [
            f"{each.episode}  {rows[each.episode]['source']}: {'; '.join(each.reasons)}"
            for each in outliers[:_MOST_REASONS]
        ]
        self._text(from_top_in, title, fontsize=11, color=_ODD)
        self._text(from_top_in + 1.3 * _LINE_IN, "\n".join(lines), fontsize=10, linespacing=1.5)


def _draw_paths(axes: Axes, dataset: DatasetReader, across: int, up: int) -> None:
    """Draw the tool's path in every episode in the plane of two of the axes x, y, z."""
    last = max(len(dataset.episodes) - 1, 1)
    for index in range(len(dataset.episodes)):
        columns = dataset.episode(index)
        way = columns["observation.state"][:, (across, up)]
        colour = _COLOURS(index / last * _LIGHTEST)
        axes.plot(way[:, 0], way[:, 1], color=colour, linewidth=1.1, alpha=0.6)
        axes.plot(*way[0], "o", color=_QUIET, markersize=3.5, zorder=3)
        closed = columns["action"][:, 9] > _CLOSED
        closes = np.flatnonzero(closed[1:] & ~closed[:-1]) + 1
        opens = np.flatnonzero(~closed[1:] & closed[:-1]) + 1
        if len(closes):
            axes.plot(*way[closes[0]], "v", color=_BAD, markersize=5, zorder=3)
        if len(opens):
            axes.plot(*way[opens[-1]], "^", color=_INK, markersize=5, zorder=3)
    axes.set_aspect("equal", "datalim")
    axes.set_xlabel(f"{'xyz'[across]} [m]")
    axes.set_ylabel(f"{'xyz'[up]} [m]")
    axes.grid(alpha=0.25)


def _draw_lengths(axes: Axes, dataset: DatasetReader) -> None:
    rows = dataset.episodes
    lengths_s = [row["length"] / dataset.spec.rate_hz for row in rows]
    colours = [_BAD if row["success"] is False else _FILL for row in rows]
    axes.bar(range(len(rows)), lengths_s, color=colours, width=0.9)
    axes.axhline(float(np.median(lengths_s)), color=_INK, linewidth=0.8, linestyle=":")
    failed = sum(row["success"] is False for row in rows)
    note = f", {failed} failed in red" if failed else ""
    axes.set_title(f"length of each episode [s], median {np.median(lengths_s):.1f}{note}")
    axes.set_xlabel("episode")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_histogram(
    axes: Axes,
    values: npt.NDArray[Any],
    span: tuple[float, float] | None = None,
    label: str | None = None,
) -> None:
    axes.hist(values, bins=40, range=span, color=_FILL, label=label)
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(labelsize=9)


def _rates(dataset: DatasetReader) -> tuple[Array, Array]:
    """Return the targets' linear speeds in [m/s] and turn rates in [rad/s] between frames."""
    action = dataset.columns["action"].astype(np.float64)
    within = dataset.follows()
    # a repeated image has a time step of zero: count its speed as zero
    steps_s = np.where(dataset.steps_ns() > 0, dataset.steps_ns() * 1e-9, np.inf)
    steps_m = np.linalg.norm(np.diff(action[:, :3], axis=0), axis=1)[within]
    x, y = action[:, 3:6], action[:, 6:9]
    frames = np.stack([x, y, np.cross(x, y)], axis=2)
    traces = np.einsum("nij,nij->n", frames[1:], frames[:-1])[within]
    turns_rad = np.arccos(np.clip((traces - 1) / 2, -1.0, 1.0))
    return steps_m / steps_s, turns_rad / steps_s
