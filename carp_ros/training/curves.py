"""Plots a training's metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_COLUMNS = 3
_LOGARITHMIC = ("loss", "error", "rate")


def draw_curves(figures: Sequence[dict[str, float]], path: Path) -> None:
    """Write a PNG with one small plot per metric, over epochs.

    Args:
        figures: One row per epoch, with `step` and `epoch`; rows may lack other metrics.
        path: Of the PNG.
    """
    # the object interface avoids pyplot's import time (a second) and global state
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in dict.fromkeys(n for row in figures for n in row)]
    names = [name for name in names if name not in ("step", "epoch")]
    rows = -(-len(names) // _COLUMNS)
    figure = Figure(figsize=(4.0 * _COLUMNS, 2.6 * rows), layout="constrained")
    for place, name in enumerate(names):
        axes = figure.add_subplot(rows, _COLUMNS, place + 1)
        points = [(row["epoch"], row[name]) for row in figures if name in row]
        axes.plot(*zip(*points), marker="." if len(points) < 60 else "", linewidth=1.0)
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.set_xlabel("epoch", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
        if any(word in name for word in _LOGARITHMIC) and all(value > 0 for _, value in points):
            axes.set_yscale("log")
    FigureCanvasAgg(figure).print_png(path)
