"""A table of real-time trials, one row each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carp_ros.clients.trial_agents import ChunkFigures
    from carp_ros.clients.trial_node import LiveTrial

_STAGES = {
    "image_age": "image",
    "preprocess": "resize",
    "vision": "vision",
    "decode": "decode",
    "schedule": "schedule",
    "total": "total",
}
_STAGE_WIDTH = 10


def header(cameras: list[str], *, policy: bool) -> str:
    """Return the table's header.

    Args:
        cameras: The cameras' names, in the rig's order.
        policy: Whether to add columns for a policy's chunks.
    """
    frames = "  ".join(f"{name:>12}" for name in cameras)
    servo = "servo ticks late > 0.5 ms   > 1 ms"
    text = f"trial   seed  success  seconds  {frames}   {servo}"
    if policy:
        stages = "".join(f"{name:>{_STAGE_WIDTH}}" for name in _STAGES.values())
        text += f"  chunks reduced{stages}   ms, p50/p99"
    return text


def row(number: int, trial: LiveTrial) -> str:
    """Return one trial's row.

    Args:
        number: The trial's number, from 0.
        trial: Its result.
    """
    counts = [f"{c.received}/{c.expected}" for c in trial.cameras.values()] or ["-", "-"]
    frames = "  ".join(f"{count:>12}" for count in counts)
    share = [
        f"{late / trial.ticks:.2%}" if trial.ticks > 0 else "-"
        for late in (trial.late_half_ms, trial.late_1_ms)
    ]
    done = "yes" if trial.success else "no"
    reasons = f"   {trial.reasons}" if trial.reasons else ""
    return (
        f"{number + 1:>5}{trial.seed:>7}{done:>9}{trial.seconds:>9.1f}  {frames}"
        f"{share[0]:>28}{share[1]:>9}{_chunks(trial.policy)}{reasons}"
    )


def _chunks(figures: ChunkFigures | None) -> str:
    if figures is None:
        return ""
    stages = "".join(
        f"{_pair(figures.latency_ms.get(name, {})):>{_STAGE_WIDTH}}" for name in _STAGES
    )
    return f"{figures.chunks:>8}{figures.reduced:>8}{stages}"


def _pair(percentiles: dict[str, float]) -> str:
    return f"{percentiles['p50']:.0f}/{percentiles['p99']:.0f}" if percentiles else "-"
