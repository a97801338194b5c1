"""What was found, as one JSON file and as tables for README.md. No physics, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.earlier import Row, rows_of_others
from bench.markdown import table
from bench.metaworld.demonstrations import TASKS, Demonstrations
from bench.metaworld.jobs import ALL, EVALUATED, LATENCY, METHODS, TRAINED, Job
from carp_ros.evaluation.report import heading, success_summary
from carp_ros.share import version

_NAMES = {"carp": "CARP", "regression": "regression"}
_PROTOCOL = {
    "success": "at any step of an episode of at most 500, Meta-World's own measure",
    "layouts": "drawn by Meta-World's MT1 from seeds of their own; none equals a demonstration's;"
    " both methods are given the same, each training seed others",
    "selection": "the averaged weights of the last step; no checkpoint was picked",
    "interval": "Wilson, 95 %",
}


def collect(
    jobs: Sequence[Job], out: Path, data: Demonstrations, earlier: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return all that is known of some jobs, those not yet trained or evaluated left out.

    Args:
        jobs: Of which.
        out: Folder of everything that was made here.
        data: The demonstrations.
        earlier: What an earlier report said, perhaps of another machine. Of networks that are not
            here it counts on, if the demonstrations are the same.
    """
    rows: list[Row] = []
    trainings: list[Row] = []
    versions: dict[str, str] = {}
    machines: list[Row] = []
    recipes: list[Row] = []
    for job in jobs:
        known = {"method": job.method, "subject": job.subject, "seed": job.seed}
        trained = _read(job.folder(out) / TRAINED)
        evaluated = _read(job.folder(out) / EVALUATED)
        if trained:
            recipe = {key: value for key, value in trained.pop("recipe").items() if key != "seed"}
            if recipe not in recipes:
                recipes.append(recipe)
            trainings.append(known | trained)
        for task, found in evaluated.get("tasks", {}).items():
            seeds = {"layout_seeds": found["layout_seeds"]}
            rows.append(known | {"task": task} | success_summary(found["successes"]) | seeds)
            versions |= evaluated["versions"]
            if evaluated["machine"] not in machines:
                machines.append(evaluated["machine"])
    kept = earlier if earlier and earlier["demonstrations"]["digest"] == data.digest else {}
    rows += rows_of_others(kept.get("rows", []), rows, _network)
    trainings += rows_of_others(kept.get("trainings", []), trainings, _network)
    recipes += [recipe for recipe in kept.get("recipes", []) if recipe not in recipes]
    machines += [one for one in kept.get("evaluated_on", []) if one not in machines]
    return {
        **heading(["python", "-m", "bench.metaworld", "report"], version()),
        "protocol": _PROTOCOL,
        "versions": kept.get("versions", {}) | versions,
        "evaluated_on": machines,
        "demonstrations": _shown(data),
        "recipes": recipes,
        "summary": summary_of(rows),
        "rows": rows,
        "trainings": trainings,
        "latency": _read(out / LATENCY) or kept.get("latency", {}),
    }


def _network(row: Row) -> tuple[str, str, int]:
    return row["method"], row["subject"], row["seed"]


def summary_of(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of all seeds together: successes of each method, subject and task."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["method"], row["subject"], row["task"]), []).append(row)
    summary = []
    for (method, subject, task), rows_of in groups.items():
        group = sorted(rows_of, key=lambda row: row["seed"])
        won, tried = (sum(row[key] for row in group) for key in ("successes", "trials"))
        whole = success_summary([True] * won + [False] * (tried - won))
        seeds = {"seeds": [row["seed"] for row in group]}
        seeds |= {"of_seeds": [row["successes"] for row in group]}
        summary.append({"method": method, "subject": subject, "task": task} | whole | seeds)
    return summary


def tables(content: dict[str, Any]) -> str:
    """Return what `collect` returned as Markdown."""
    columns = [(method, one) for one in (True, False) for method in METHODS]
    heads = [f"{_NAMES[m]}, {'one task' if one else 'all tasks'}" for m, one in columns]
    found = {(row["method"], row["subject"], row["task"]): row for row in content["summary"]}
    rows = [
        [task, *(_rate(found.get((m, task if one else ALL, task))) for m, one in columns)]
        for task in TASKS
    ]
    lines = [*table(["task", *heads], rows), "", *_costs(content), "", _origin(content)]
    return "\n".join(lines)


def _costs(content: dict[str, Any]) -> list[str]:
    """Return the lines of the table of sizes and times."""
    heads = ["network", "weights", "a plan, p50", "p99", "training", "on"]
    lines: list[list[str]] = []
    plans = content["latency"].get("rows", [])
    for method in METHODS:
        for one in (True, False):
            of = [row for row in content["trainings"] if row["method"] == method]
            of = [row for row in of if (row["subject"] != ALL) == one]
            if not of:
                continue
            minutes = np.median([sum(row["seconds"].values()) for row in of]) / 60.0
            times = [row for row in plans if row["method"] == method]
            times = [row for row in times if (row["subject"] != ALL) == one]
            shown = [f"{row[key]:.2f} ms" for row in times[:1] for key in ("p50_ms", "p99_ms")]
            name = f"{_NAMES[method]}, {'one task' if one else 'all tasks'}"
            devices = " and ".join(sorted({row["device"] for row in of}))
            weights = f"{of[0]['parameters'] / 1e6:.2f} M"
            cells = [name, weights, *(shown or ["", ""]), f"{minutes:.1f} min", devices]
            lines.append(cells)
    return table(heads, lines)


def _origin(content: dict[str, Any]) -> str:
    machines = "; ".join(
        f"{one['processor']}, {one['cores']} cores, Python {one['python']}"
        for one in content["evaluated_on"]
    )
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    seeds = sorted({row["seed"] for row in content["rows"]})
    return (
        f"Training seeds {', '.join(map(str, seeds)) or 'none'}; {versions or 'nothing evaluated'};"
        f" evaluated on {machines or 'no machine'}; {content['date']}."
    )


def _rate(row: Row | None) -> str:
    """Return a rate with its interval, and the successes of each seed."""
    if row is None:
        return ""
    low, high = (round(100 * bound) for bound in row["interval"])
    seeds = ", ".join(map(str, row["of_seeds"]))
    return f"{100 * row['successes'] / row['trials']:.1f} % ({low} to {high}); {seeds}"


def _shown(data: Demonstrations) -> Row:
    counts = np.bincount(data.tasks, minlength=len(TASKS))
    ranges = {
        task: sorted(set(data.seeds[data.tasks == index, 0].tolist()))
        for index, task in enumerate(TASKS)
    }
    return {
        "digest": data.digest,
        "frames": len(data.states),
        "kept": dict(zip(TASKS, counts.tolist())),
        "tried": dict(zip(TASKS, data.tried.tolist())),
        "layout_seeds": ranges,
    }


def _read(path: Path) -> Row:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
