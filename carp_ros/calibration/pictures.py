"""Pictures of a calibration: the board to print, and what was seen of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from carp_ros.calibrated.board import Board
from carp_ros.calibration.board import BoardView
from carp_ros.calibration.coverage import Coverage
from carp_ros.files.whole_file import whole_file
from carp_ros.types import Array

PAGES_M = {
    "A4": (0.297, 0.210),
    "A3": (0.420, 0.297),
    "A2": (0.594, 0.420),
    "letter": (0.2794, 0.2159),
}
"""Width and height of pages, in landscape."""

_LEAST_MARGIN_M = 0.005
_DPI = 300
_M_PER_INCH = 0.0254
_RULER_M = 0.1
_USED, _LEFT_OUT, _QUIET = "#4c78a8", "#b2182b", "#777777"


def write_board(path: Path, board: Board, page: str) -> None:
    """Draw a board at true size, as PDF or PNG by the file's ending.

    Args:
        path: The file.
        board: The board.
        page: Name of a page in `PAGES_M`.

    Raises:
        ValueError: If the board does not fit on the page, or the ending is another.
    """
    width_m, height_m = PAGES_M[page]
    needed_m = (board.width_m + 2 * _LEAST_MARGIN_M, board.height_m + 2 * _LEAST_MARGIN_M)
    if needed_m[0] > width_m or needed_m[1] > height_m:
        raise ValueError(
            f"a board of {1e3 * board.width_m:.0f} x {1e3 * board.height_m:.0f} mm does not fit"
            f" on {page}; expected {1e3 * (width_m - 2 * _LEAST_MARGIN_M):.0f} x"
            f" {1e3 * (height_m - 2 * _LEAST_MARGIN_M):.0f} mm at most: choose smaller squares,"
            f" fewer of them, or another page ({', '.join(PAGES_M)})"
        )
    ending = path.suffix.lower()
    if ending not in (".pdf", ".png"):
        raise ValueError(f"{path} ends in {ending or 'nothing'}; expected .pdf or .png")
    figure = Figure(figsize=(width_m / _M_PER_INCH, height_m / _M_PER_INCH))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    left_m, top_m = (width_m - board.width_m) / 2, (height_m - board.height_m) / 2
    axes.set_xlim(-left_m, width_m - left_m)
    axes.set_ylim(height_m - top_m, -top_m)  # y down, as on the board
    for x_m, y_m, side_m in _dark_squares(board):
        axes.add_patch(Rectangle((x_m, y_m), side_m, side_m, facecolor="black", linewidth=0))
    _add_ruler(axes, board, top_m)
    with whole_file(path) as draft:
        if ending == ".pdf":
            FigureCanvasPdf(figure).print_pdf(draft)
        else:
            figure.set_dpi(_DPI)
            FigureCanvasAgg(figure).print_png(draft)


def _dark_squares(board: Board) -> list[tuple[float, float, float]]:
    """Return left, top and side in [m] of everything black: squares, and the markers' bits."""
    # One pixel for each half bit of a marker would not fit the squares: they are drawn apart.
    squares, markers = [], board.opencv_board.getObjPoints()
    ids = np.asarray(board.opencv_board.getIds()).ravel()
    dictionary = board.opencv_board.getDictionary()
    bits = dictionary.markerSize + 2
    for row in range(board.rows):
        for column in range(board.columns):
            if (row + column) % 2 == 0:
                squares.append((column * board.square_m, row * board.square_m, board.square_m))
    bit_m = board.marker_m / bits
    for number, corners in zip(ids, markers):
        left_m, top_m = np.asarray(corners)[:, :2].min(axis=0)
        image = dictionary.generateImageMarker(int(number), bits, borderBits=1)
        for row, column in np.argwhere(image == 0):
            # a hair larger, so that no white line shows between two bits
            squares.append((left_m + column * bit_m, top_m + row * bit_m, 1.002 * bit_m))
    return squares


def _add_ruler(axes: Axes, board: Board, top_m: float) -> None:
    """Add a line of 100 mm to measure on the print, in the bottom margin if there is room."""
    y_m = board.height_m + min(0.004, 0.4 * top_m)
    axes.plot([0.0, _RULER_M], [y_m, y_m], color="black", linewidth=0.5)
    for x_m in (0.0, _RULER_M):
        axes.plot([x_m, x_m], [y_m - 0.001, y_m + 0.001], color="black", linewidth=0.5)
    text = (
        f"100 mm: print at 100 %, then measure.  {board.columns} x {board.rows},"
        f" square {1e3 * board.square_m:g} mm, marker {1e3 * board.marker_m:g} mm,"
        f" {board.dictionary}"
    )
    axes.text(_RULER_M + 0.003, y_m, text, fontsize=6, va="center")


def write_fit_picture(
    path: Path,
    views: Sequence[BoardView],
    errors_px: Mapping[str, Array],
    outliers: Sequence[str],
    coverage: Coverage,
) -> None:
    """Draw coverage, reprojection errors and their size by view on one page, as PNG.

    Args:
        path: The file.
        views: What was seen.
        errors_px: Seen minus projected corners of each view by name, of shape (N, 2).
        outliers: Names of the views that were left out.
        coverage: Where in the image the board was.
    """
    figure = Figure(figsize=(15.0, 4.6), layout="constrained")
    image, scatter, bars = figure.subplots(1, 3, width_ratios=(1.3, 1.0, 1.3))
    _draw_coverage(image, views, outliers, coverage)
    _draw_scatter(scatter, errors_px, outliers)
    _draw_bars(bars, errors_px, outliers)
    with whole_file(path) as draft:
        FigureCanvasAgg(figure).print_png(draft)


def _draw_coverage(
    axes: Axes, views: Sequence[BoardView], outliers: Sequence[str], coverage: Coverage
) -> None:
    width_px, height_px = coverage.size_px
    axes.imshow(
        coverage.counts,
        extent=(0.0, width_px, height_px, 0.0),
        cmap="Greens",
        vmin=0,
        vmax=max(8, int(coverage.counts.max())),
        alpha=0.6,
    )
    for view in views:
        colour = _LEFT_OUT if view.name in outliers else _USED
        axes.plot(*view.corners_px.T, ".", color=colour, markersize=2)
    axes.set_title(f"corners seen: {100 * coverage.fraction:.0f} % of the image covered")
    axes.set_xlabel("x [px]")
    axes.set_ylabel("y [px]")


def _draw_scatter(axes: Axes, errors_px: Mapping[str, Array], outliers: Sequence[str]) -> None:
    used = [errors for name, errors in errors_px.items() if name not in outliers]
    every = np.concatenate(used)
    limit_px = 1.2 * float(np.abs(every).max()) + 1e-6
    axes.plot(*every.T, ".", color=_USED, markersize=2)
    axes.set(xlim=(-limit_px, limit_px), ylim=(limit_px, -limit_px), aspect="equal")
    axes.axhline(0.0, color=_QUIET, linewidth=0.5)
    axes.axvline(0.0, color=_QUIET, linewidth=0.5)
    rms_px = float(np.sqrt((every**2).sum(axis=1).mean()))
    axes.set_title(f"seen minus projected, used views: {rms_px:.2f} px RMS")
    axes.set_xlabel("x [px]")
    axes.set_ylabel("y [px]")


def _draw_bars(axes: Axes, errors_px: Mapping[str, Array], outliers: Sequence[str]) -> None:
    sizes = [float(np.sqrt((errors**2).sum(axis=1).mean())) for errors in errors_px.values()]
    colours = [_LEFT_OUT if name in outliers else _USED for name in errors_px]
    places = np.arange(len(sizes))
    axes.bar(places, sizes, color=colours)
    axes.set_xticks(places, list(errors_px), rotation=90, fontsize=7)
    axes.set_ylabel("RMS [px]")
    axes.set_yscale("log")
    axes.set_title(f"by view; left out: {', '.join(outliers) or 'none'}")
