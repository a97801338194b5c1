"""Summarises many inferences in a few figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from carp_ros.evaluation.trials import PolicyFigures


def policy_summary(trials: Sequence[PolicyFigures]) -> dict[str, Any]:
    """Return counts of chunks, latency by stage, and velocity jumps where chunks were switched."""
    stages = [stage for trial in trials for stage in trial.stages]
    jumps = [jump for trial in trials for jump in trial.velocity_jumps_m_s]
    figures = [figures for trial in trials for figures in trial.figures]
    names = dict.fromkeys(name for row in figures for name in row)
    return {
        "chunks": {
            "planned": len(stages),
            "followed": sum(trial.accepted for trial in trials),
            "refused": sum(len(trial.refusals) for trial in trials),
            "reduced": sum(trial.reduced for trial in trials),
        },
        "inference_ms": stage_percentiles_ms(stages),
        **{name: _mean([row[name] for row in figures if name in row]) for name in names},
        "velocity_jump_m_s": percentiles(jumps),
    }


def stage_percentiles_ms(stages: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return each stage's `p50` and `p99` in [ms], and those of their sum, `total`."""
    rows = [{**row, "total": sum(row.values())} for row in stages]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: percentiles([1e3 * row[name] for row in rows if name in row]) for name in names}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return `p50` and `p99` of the finite values; empty if there are none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return {}
    p50, p99 = np.percentile(finite, [50, 99])
    return {"p50": _round(p50), "p99": _round(p99)}


def _mean(values: Sequence[float]) -> float | None:
    mean = float(np.mean(values)) if values else math.nan
    return _round(mean) if math.isfinite(mean) else None


def _round(value: float) -> float:
    return round(float(value), 3)
