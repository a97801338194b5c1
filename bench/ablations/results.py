"""What the ablations found: one JSON file, and a table of it in the README."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from bench import markdown
from bench.ablations.variants import VARIANTS
from bench.earlier import rows_of_others
from carp_ros.evaluation.report import success_summary

Run = dict[str, Any]
"""What a run says of its training, with its trials."""

_HEADS = (
    "variant",
    "tokens",
    "weights: tokenizer, policy",
    "tokenizer [mm]",
    "[rad]",
    "policy [mm]",
    "[rad]",
    "success",
)


def with_earlier(runs: Sequence[Run], earlier: Sequence[Run]) -> list[Run]:
    """Return runs, and those of an earlier report that took the same course and are not here."""

    def course(run: Run) -> list[Any]:
        return [run[key] for key in ("dataset", "episodes", "windows", "epochs")]

    others = rows_of_others(earlier, runs, lambda run: (run["variant"], run["seed"]))
    return [*runs, *(run for run in others if course(run) == course(runs[0]))]


def summary(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a row a variant, over all its seeds.

    Args:
        runs: What each says of its training, with `trials`, a row each.
    """
    rows = []
    for name, variant in VARIANTS.items():
        of_variant = sorted(
            (run for run in runs if run["variant"] == name), key=lambda run: run["seed"]
        )
        if of_variant:
            rows.append(
                {"variant": name, "choice": variant.choice, **_over_seeds(of_variant)},
            )
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the variants' rows as a table of Markdown."""
    return "\n".join(markdown.table(_HEADS, map(_cells, rows)))


def conditions(runs: Sequence[Run], rows: Sequence[dict[str, Any]], command: str) -> str:
    """Return in words how the table came about."""
    trials = [trial for run in runs for trial in run["trials"]]
    tried = "no trials yet"
    if trials:
        seeds = [trial["seed"] for trial in trials]
        levels = _listed(trial["level"] for trial in trials)
        tried = f"trials on seeds {min(seeds)} to {max(seeds)}, randomisation {levels}"
    machines = (f"{run['machine']['device']}, torch {run['machine']['torch']}" for run in runs)
    episodes = (
        f"{run['episodes']['trained']} episodes, {run['episodes']['held_out']} held out"
        for run in runs
    )
    dates = [run["date"] for run in runs]
    seconds = (sum(run["seconds"].values()) for run in runs)
    return (
        f"Dataset {_listed(run['dataset'] for run in runs)} ({_listed(episodes)}); epochs"
        f" {_listed(run['epochs']['tokenizer'] for run in runs)} (tokenizer) and"
        f" {_listed(run['epochs']['policy'] for run in runs)} (policy); seeds"
        f" {_listed(seed for row in rows for seed in row['seeds'])}; trained on"
        f" {_listed(machines)}, {min(dates)} to {max(dates)}, {statistics.median(seconds):.0f} s a"
        f" run; {tried}. Command: `{command}`."
    )


def _over_seeds(runs: Sequence[Run]) -> dict[str, Any]:
    first = runs[0]
    row: dict[str, Any] = {
        "seeds": [run["seed"] for run in runs],
        "tokens": first["tokens"],
        "parameters": first["parameters"],
    }
    for part in ("tokenizer", "policy"):
        row[part] = {name: _spread([run[part][name] for run in runs]) for name in first[part]}
    successes = [trial["success"] for run in runs for trial in run["trials"]]
    if successes:
        by_seed = {run["seed"]: sum(trial["success"] for trial in run["trials"]) for run in runs}
        row |= {**success_summary(successes), "successes_by_seed": by_seed}
    return row


def _spread(values: list[float]) -> dict[str, float]:
    figures = {"mean": statistics.fmean(values), "least": min(values), "greatest": max(values)}
    return {name: round(value, 6) for name, value in figures.items()}


def _cells(row: dict[str, Any]) -> list[str]:
    weights = row["parameters"]
    success = "-"
    if "trials" in row:
        low, high = row["interval"]
        success = f"{row['successes']} of {row['trials']} ({low:.0%} to {high:.0%})"
    return [
        f"`{row['variant']}`: {row['choice']}",
        str(row["tokens"]),
        f"{weights['tokenizer'] / 1e3:.0f} k, {weights['policy'] / 1e3:.0f} k",
        *_errors(row["tokenizer"]),
        *_errors(row["policy"]),
        success,
    ]


def _errors(part: dict[str, dict[str, float]]) -> tuple[str, str]:
    """Return the error of position and that of rotation, and from least to greatest."""
    metres, radians = part["position_error_m"], part["rotation_error_rad"]
    return (
        f"{1e3 * metres['mean']:.2f} ({1e3 * metres['least']:.2f} to"
        f" {1e3 * metres['greatest']:.2f})",
        f"{radians['mean']:.4f} ({radians['least']:.4f} to {radians['greatest']:.4f})",
    )


def _listed(values: Any) -> str:
    return ", ".join(str(value) for value in sorted(set(values)))
