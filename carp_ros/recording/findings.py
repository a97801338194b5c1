"""Faults of a recording, and the thresholds at which they count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from carp_ros.recording.episode import Verdict

Colour = Literal["amber", "red"]


@dataclass(frozen=True)
class Finding:
    """One fault of a recording: its severity (usable with care, or unusable) and its reason."""

    colour: Colour
    reason: str


@dataclass(frozen=True)
class Thresholds:
    """The thresholds at which a recording becomes amber or red.

    Attributes:
        amber_share, red_share: Least share of a stream's expected messages. Below 95 %, frames of a
            dataset visibly repeat; below 80 %, motion between two frames is lost.
        amber_gap_periods: Longest gap in periods; a policy tolerates one late message.
        amber_gap_s: Shorter gaps never count: the scheduler of a busy machine causes them.
        red_gap_s: Longest gap, at the episode's start and end too. No policy acts on an image that
            old.
        future_s: A stamp this far ahead of its arrival comes from another clock.
        past_s: A stamp older than this on arrival comes from another clock, or the machine can't
            keep up.
        drift: Largest fraction by which stamps may run faster or slower than the clock.
        drift_s: Drift below this total never counts: late arrival alone explains it.
        skew_s: Largest skew between the cameras' nearest images; at 0.25 m/s the arm moves 12 mm in
            50 ms.
        amber_skewed_share, red_skewed_share: Largest share of the frames with more skew than that.
        frozen_s: A camera that repeats one image for longer while the tool moves has frozen.
        frozen_motions: Number of motions after which the tool "moves" there: 10 mm or 2.5 degrees.
        motion_m, motion_rad, motion_gripper: Smaller changes are noise, larger ones one motion.
        idle_s: Longest pause at start or end; a longer one teaches a policy to stand still.
        clipped_share: Largest share of the moving time at full speed, where the operator's input is
            clipped.
        edge_m: Distance to the workspace's border below which the border holds the target back.
        edge_s: Longest total time at the border; a longer one distorts the demonstration.
        shortest_s: No task takes less time.
    """

    amber_share: float = 0.95
    red_share: float = 0.80
    amber_gap_periods: float = 4.0
    amber_gap_s: float = 0.1
    red_gap_s: float = 0.5
    future_s: float = 0.05
    past_s: float = 0.5
    drift: float = 0.05
    drift_s: float = 0.5
    skew_s: float = 0.05
    amber_skewed_share: float = 0.05
    red_skewed_share: float = 0.5
    frozen_s: float = 0.5
    frozen_motions: int = 5
    motion_m: float = 0.002
    motion_rad: float = 0.009
    motion_gripper: float = 0.02
    idle_s: float = 1.5
    clipped_share: float = 0.6
    edge_m: float = 0.001
    edge_s: float = 0.5
    shortest_s: float = 1.0


def judge(findings: Iterable[Finding]) -> tuple[Verdict, tuple[str, ...]]:
    """Return the worst colour, and all reasons with the worst first."""
    ordered = sorted(findings, key=lambda finding: finding.colour != "red")
    verdict: Verdict = ordered[0].colour if ordered else "green"
    return verdict, tuple(finding.reason for finding in ordered)
