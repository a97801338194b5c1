"""What was found, as one JSON file, as tables for README.md and as a plot. No torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.earlier import Row, rows_of_others
from bench.markdown import table, write_between_marks
from carp_ros.evaluation.report import heading, write_report
from carp_ros.share import version

NAMES = {
    "faster": "FASTerVQ",
    "fast-mean": "FAST, as many tokens in the mean",
    "fast-cut-error": "FAST, cut at as many, least L1",
    "fast-cut-share": "FAST, cut at as many, most steps within 0.1",
    "carp": "CARP's multi-scale VQ",
    "binning": "256 bins",
}
WITHIN = ("0.001", "0.01", "0.03", "0.1")
_MEASURES = {"sum": "normalised sum", "position": "position [m]", "rotation": "rotation [rad]"}
_COLOURS = ("C3", "C0", "C9", "C1", "C2", "C7")


def report(out: Path, results: Path, readme: Path, plot: Path) -> str:
    """Write all three of what is in a folder and what an earlier report said of the rest.

    Returns:
        The tables.

    Raises:
        ValueError: If nothing was measured.
    """
    from bench.tokenizers.measure import rows_in

    known = json.loads(results.read_text(encoding="utf-8"))["rows"] if results.is_file() else []
    here = rows_in(out)
    rows = here + rows_of_others(known, here, lambda r: (r["data"], r["tokenizer"], r["seed"]))
    if not rows:
        raise ValueError(f"no tokenizer is measured in {out}; expected some: measure them first")
    rows.sort(key=lambda row: (row["data"], list(NAMES).index(row["tokenizer"]), row["seed"]))
    content = heading(["python", "-m", "bench.tokenizers", "report"], version()) | {"rows": rows}
    write_report(results, content)
    text = tables(content)
    shown = f"![error over tokens, shares of steps, gripper's changes]({plot.name})"
    write_between_marks(readme, "tables", f"{text}\n\n{shown}")
    draw(rows, plot)
    return text


def tables(content: dict[str, Any]) -> str:
    """Return two tables and where they come from, as Markdown; cells are means over seeds."""
    groups = _groups(content["rows"])
    heads = ["data", "tokenizer", "L1", "tokens: mean, 95 %, most", "bits", "codes used"]
    heads += ["gripper's changes kept", "encode [µs], 1 / 256", "decode [µs], 1 / 256"]
    lines = [
        [
            data,
            _name(name, rows),
            _spread(rows, "error", "{:.4f}"),
            " / ".join(_mean(rows, f"tokens_{key}", "{:.1f}") for key in ("mean", "p95", "most")),
            _mean(rows, "bits", "{:.0f}"),
            _mean(rows, "codes_used", "{:.0%}"),
            _mean(rows, "changes_kept", "{:.1%}"),
            *(
                " / ".join(_mean(rows, f"{what}_us_{size}", "{:.0f}") for size in (1, 256))
                for what in ("encode", "decode")
            ),
        ]
        for (data, name), rows in groups.items()
    ]
    shares = [
        [
            data,
            NAMES[name],
            *(
                " / ".join(_mean(rows, f"{measure}_within_{most}", "{:.3f}") for most in WITHIN)
                for measure in _MEASURES
            ),
        ]
        for (data, name), rows in groups.items()
    ]
    of_shares = [f"{what} within {' / '.join(WITHIN)}" for what in _MEASURES.values()]
    return "\n".join(
        [
            *table(heads, lines),
            "",
            *table(["data", "tokenizer", *of_shares], shares),
            "",
            _origin(content),
        ]
    )


def _groups(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["tokenizer"]), []).append(row)
    return groups


def _name(name: str, rows: Sequence[Row]) -> str:
    scales = sorted({row["scale"] for row in rows if "scale" in row})
    ends = [scales[0], scales[-1]] if len(scales) > 1 else scales
    shown = f" (scale {' to '.join(f'{scale:.3g}' for scale in ends)})" if scales else ""
    return NAMES[name] + shown


def _values(rows: Sequence[Row], key: str) -> list[float]:
    return [row[key] for row in rows if row.get(key) is not None]


def _mean(rows: Sequence[Row], key: str, form: str) -> str:
    values = _values(rows, key)
    return form.format(np.mean(values)) if values else "-"


def _spread(rows: Sequence[Row], key: str, form: str) -> str:
    values = _values(rows, key)
    low, high = form.format(min(values)), form.format(max(values))
    return f"{form.format(np.mean(values))} ({low} to {high})"


def _origin(content: dict[str, Any]) -> str:
    rows = content["rows"]
    seeds = sorted({row["seed"] for row in rows})
    steps = sorted({row["steps"] for row in rows if "steps" in row})
    machines = sorted({row["machine"]["processor"] for row in rows if "machine" in row})
    span = " to ".join(map(str, sorted({steps[0], steps[-1]}))) if steps else "no"
    timed = f"times on one thread of {' and '.join(machines)}" if machines else "no times yet"
    return (
        f"Means over seeds {', '.join(map(str, seeds))}, L1 with the least and the greatest;"
        f" {span} steps of tokenizers that learn; {timed}; {content['date']}."
    )


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write a PNG: for each data, error over tokens, shares of steps, and gripper's changes."""
    # the object interface avoids pyplot's import time (a second) and global state
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["data"] for row in rows))
    figure = Figure(figsize=(13.0, 3.4 * len(names)), layout="constrained")
    for line, data in enumerate(names):
        of_data = [(n, r) for (d, n), r in _groups(rows).items() if d == data]
        draws: list[Callable[[Any, Any], None]] = [_draw_errors, _draw_shares, _draw_changes]
        for column, drawn in enumerate(draws):
            axes = figure.add_subplot(len(names), len(draws), len(draws) * line + column + 1)
            drawn(axes, of_data)
            axes.tick_params(labelsize=7)
            axes.grid(alpha=0.3)
            if not column:
                axes.set_ylabel(f"{data}\nnormalised L1", fontsize=8)
    FigureCanvasAgg(figure).print_png(path)


def _colour(name: str) -> str:
    return _COLOURS[list(NAMES).index(name)]


def _draw_errors(axes: Any, groups: Sequence[tuple[str, list[Row]]]) -> None:
    for name, rows in groups:
        tokens, errors = (_values(rows, key) for key in ("tokens_mean", "error"))
        axes.plot(tokens, errors, "o", color=_colour(name), markersize=4, label=NAMES[name])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("tokens a chunk, mean", fontsize=8)
    axes.legend(fontsize=7)


def _draw_shares(axes: Any, groups: Sequence[tuple[str, list[Row]]]) -> None:
    within = [float(most) for most in WITHIN]
    for name, rows in groups:
        shares = [np.mean(_values(rows, f"sum_within_{most}")) for most in WITHIN]
        axes.plot(within, shares, "o-", color=_colour(name), markersize=3)
    axes.set_xscale("log")
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("sum of a step's normalised errors below", fontsize=8)
    axes.set_ylabel("share of steps", fontsize=8)


def _draw_changes(axes: Any, groups: Sequence[tuple[str, list[Row]]]) -> None:
    kept = [(name, _values(rows, "changes_kept")) for name, rows in groups]
    for place, (name, values) in enumerate((n, v) for n, v in kept if v):
        axes.bar(place, np.mean(values), color=_colour(name))
    axes.set_xticks([])
    axes.set_ylim(0.0, 1.02)
    axes.set_ylabel("gripper's changes kept", fontsize=8)
