"""What may be wrong with a recording, in words, and from where on it counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from carp_ros.recording.episode import Verdict

Colour = Literal["amber", "red"]


@dataclass(frozen=True)
class Finding:
    """One thing that speaks against a recording: usable with care, or unusable, and why."""

    colour: Colour
    reason: str


@dataclass(frozen=True)
class Thresholds:
    """From where on a recording is amber or red.

    Attributes:
        amber_share, red_share: Of the promised messages of a stream that arrived. Below 95 % a
            dataset's frames repeat visibly; below 80 % the motion between two frames is lost.
        amber_gap_periods: Messages missing in a row; a policy is used to one that is late.
        amber_gap_s: Gaps below this never count: the scheduler of a busy machine makes them.
        red_gap_s: Also at an episode's begin and end. No policy runs on with a picture that old.
        future_s: A stamp later than its arrival by this much is of another clock.
        past_s: A stamp older than this on arrival is, too, or the machine can't keep up.
        drift: Stamps may run faster or slower than the clock by this fraction.
        drift_s: And by this much in all, which late arrival alone explains.
        skew_s: Between the cameras' nearest pictures; the arm moves 12 mm in 50 ms at 0.25 m/s.
        amber_skewed_share, red_skewed_share: Of the frames with more skew than that.
        frozen_s: A camera that shows the same picture for longer while the tool moves hangs.
        frozen_motions: How many motions make the tool "move" there: 10 mm or 2.5 degrees.
        motion_m, motion_rad, motion_gripper: Less is noise, more is one motion.
        idle_s: Standing still for longer at begin or end teaches a policy to stand still.
        clipped_share: Of the moving time at full speed; the hand then asked for more than it got.
        edge_m: Nearer than this to the workspace's border, the target is held back by it.
        edge_s: For longer in sum, the border shaped the demonstration.
        shortest_s: No task is done in less.
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
    """Return the worst colour and every reason, the worst first."""
    ordered = sorted(findings, key=lambda finding: finding.colour != "red")
    verdict: Verdict = ordered[0].colour if ordered else "green"
    return verdict, tuple(finding.reason for finding in ordered)
