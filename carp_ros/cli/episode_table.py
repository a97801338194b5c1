"""A table of recorded episodes, one line each, from the recorder's status."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from carp_ros.reports.recorder import RecorderStatus

_SUCCESS = {True: "yes", False: "no", None: "?"}


def header(cameras: Sequence[str]) -> str:
    """Return the table's first line."""
    frames = "".join(f"{name:>13}" for name in cameras)
    first = f"{'episode':<24}{'success':>8}{'verdict':>8}{'seconds':>8}"
    return f"{first}{frames}{'backlog':>10}{'size':>10}"


def row(quality: RecorderStatus, cameras: Sequence[str]) -> str:
    """Return an episode's line, followed by the reasons for its verdict.

    Args:
        quality: The recorder's status, from `recorder/quality`.
        cameras: The cameras whose frames are shown, as received/expected.
    """
    received, expected = quality.received, quality.expected
    frames = "".join(f"{f'{received.get(n, 0)}/{expected.get(n, 0)}':>13}" for n in cameras)
    backlog = f"{quality.most_backlog_bytes / 1e6:.1f} MB"
    size = f"{quality.size_bytes / 1e6:.1f} MB"
    success = _SUCCESS[quality.success]
    line = (
        f"{Path(quality.folder).name:<24}{success:>8}{quality.verdict:>8}"
        f"{quality.seconds:>8.1f}{frames}{backlog:>10}{size:>10}"
    )
    return "\n".join([line, *(f"    {reason}" for reason in quality.reasons)])
