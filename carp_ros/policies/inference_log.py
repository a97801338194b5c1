"""Statistics of a policy's results, for monitoring."""

from __future__ import annotations

from collections import Counter

from carp_ros.policies.inference_scheduler import InferenceResult, NoChunk, Refusal
from carp_ros.policies.latency import LatencyTracker, RollingQuantile
from carp_ros.rig import LimitsConfig

_WINDOW = 100


class InferenceLog:
    """Counts results and keeps quantiles of recent durations.

    Args:
        limits: Limits on the age of chunks.
        step_s: Time between two steps of a chunk.
    """

    def __init__(self, limits: LimitsConfig, step_s: float) -> None:
        self._step_s = step_s
        self._latency = LatencyTracker(limits.chunk_timeout_s)
        self._quantiles: dict[str, tuple[RollingQuantile, RollingQuantile]] = {}
        self._refusals: Counter[NoChunk] = Counter()
        self.refusal: Refusal | None = None
        """Why the last attempt gave no chunk; None if it gave one."""
        self.sent = 0
        self.reduced = 0
        self.notes: tuple[str, ...] = ()

    def take(self, result: InferenceResult) -> None:
        """Register a result; unless refused, its chunk was sent."""
        if result.prediction is not None:
            self._latency.add(result.latency_s)
            for name, seconds in result.stage_seconds.items():
                for quantile in self._of(name):
                    quantile.add(seconds)
            self.reduced += result.prediction.reduced
            self.notes = result.prediction.notes
        if result.refusal:
            self.refuse(result.refusal)
        else:
            self.sent += 1
            self.refusal = None

    def refuse(self, refusal: Refusal) -> None:
        """Register why there is no chunk."""
        self.refusal = refusal
        self._refusals[refusal.code] += 1

    def figures(self) -> dict[str, str]:
        """Return the statistics, as text by name."""
        latency = self._latency
        figures = {"sent": str(self.sent)}
        for name, (p50, p99) in self._quantiles.items():
            if p50.value is not None and p99.value is not None:
                figures[f"{name}_ms_p50"] = f"{p50.value * 1e3:.1f}"
                figures[f"{name}_ms_p99"] = f"{p99.value * 1e3:.1f}"
        if latency.p95_s is not None:
            figures["latency_ms_p95"] = f"{latency.p95_s * 1e3:.1f}"
            figures["steps_past_on_arrival"] = str(latency.late_steps(self._step_s))
        figures |= {"over_budget": str(latency.over_budget), "reduced": str(self.reduced)}
        return figures | {
            f"no chunk: {code.value}": str(count) for code, count in self._refusals.most_common()
        }

    def _of(self, stage: str) -> tuple[RollingQuantile, RollingQuantile]:
        return self._quantiles.setdefault(
            stage, (RollingQuantile(0.5, _WINDOW, 3), RollingQuantile(0.99, _WINDOW, 3))
        )
