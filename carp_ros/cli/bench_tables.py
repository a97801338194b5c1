"""What `carp bench` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from carp_ros.benchmarks.path import PathFigures
from carp_ros.benchmarks.policy_bench import CaseFigures, stage_names
from carp_ros.benchmarks.recorder import Load
from carp_ros.benchmarks.servo import Timing

SERVO = "other work  priority       Hz  skipped   > 0.5 ms     > 1 ms  p50 ms  p99 ms  p99.9 ms"
RECORDER = "images   lost   written  refused  backlog    in MB/s   out MB/s   CPU node   CPU writer"


def servo_row(timing: Timing) -> str:
    """Return a row under `SERVO`."""
    return (
        f"{'every core' if timing.busy else 'none':>10}{timing.priority:>10}{timing.rate_hz:>9.1f}"
        f"{timing.skipped:>9}{timing.late_half_ms:>11.3%}{timing.late_1_ms:>11.3%}"
        f"{timing.p50_ms:>8.3f}{timing.p99_ms:>8.3f}{timing.p999_ms:>10.3f}"
    )


def recorder_row(load: Load) -> str:
    """Return a row under `RECORDER`, and the verdict's reasons."""
    line = (
        f"{load.images:<6}{sum(load.lost.values()):>7}{sum(load.written.values()):>10}"
        f"{load.refused:>9}{load.most_backlog_mb:>6.1f} MB{load.received_mb_s:>11.1f}"
        f"{load.written_mb_s:>11.1f}{load.recorder_cpu:>11.0%}{load.writer_cpu:>13.0%}"
    )
    return "\n".join([line, *(f"    {load.verdict}: {reason}" for reason in load.reasons)])


def path_lines(figures: PathFigures) -> Iterator[str]:
    """Yield the table of the latency's stages."""
    yield (
        f"{figures.followed} of {figures.plans} plans executed; images encoded early:"
        f" {figures.images_seen_before:.0%}"
    )
    yield f"{'ms':<18}{'p50':>8}{'p99':>8}"
    for name, stage in figures.stages_ms.items():
        yield f"{name:<18}{stage['p50']:>8.1f}{stage['p99']:>8.1f}"
    yield f"{'sum of the parts':<18}{figures.sum_of_parts_ms:>8.1f}"


def policy_lines(rows: Sequence[CaseFigures]) -> Iterator[str]:
    """Yield the table of policies."""
    width = max(len(row.case.name) for row in rows)
    stages = stage_names([row.stages_ms for row in rows])
    yield (
        f"{'policy':<{width}}{'runtime':>8}{'threads':>8}{'start':>8}{'memory':>9}{'weights':>9}"
        + "".join(f"{name:>18}" for name in stages)
        + f"{'chunks/s':>10}{'GFLOP':>8}{'of floor':>10}"
    )
    for row in rows:
        yield _policy_row(row, width, stages)


def _policy_row(row: CaseFigures, width: int, names: Sequence[str]) -> str:
    stages = "".join(f"{_times(row.stages_ms.get(name)):>18}" for name in names)
    started, share = row.started, row.share_of_floor
    memory = "-" if started.memory_mb is None else f"{started.memory_mb:.0f} MB"
    weights = "-" if started.parameters is None else f"{1e-6 * started.parameters:.1f} M"
    floor = f"{'-':>8}{'-':>10}" if share is None else f"{started.gflop:>8.3f}{share:>10.0%}"
    return (
        f"{row.case.name:<{width}}{row.case.runtime:>8}{row.case.threads:>8}"
        f"{started.seconds:>6.1f} s{memory:>9}{weights:>9}{stages}{row.chunks_a_s:>10.3g}{floor}"
    )


def _times(times: dict[str, float] | None) -> str:
    return "/".join(f"{x:.1f}" for x in times.values()) if times else "-"
