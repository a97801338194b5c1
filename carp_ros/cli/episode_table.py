"""One line an episode: what the recorder says of it when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SUCCESS = {True: "yes", False: "no", None: "?"}


def header(cameras: Sequence[str]) -> str:
    """Return the table's first line."""
    frames = "".join(f"{name:>13}" for name in cameras)
    first = f"{'episode':<24}{'success':>8}{'verdict':>8}{'seconds':>8}"
    return f"{first}{frames}{'backlog':>10}{'size':>10}"


def row(quality: Mapping[str, Any], cameras: Sequence[str], success: bool | None) -> str:
    """Return an episode's line, with what speaks against it below.

    Args:
        quality: As `recorder/quality` says it.
        cameras: Whose frames are shown, as written of expected.
        success: Whether its task was done, None if nobody said.
    """
    received, expected = quality.get("received", {}), quality.get("expected", {})
    frames = "".join(f"{f'{received.get(n, 0)}/{expected.get(n, 0)}':>13}" for n in cameras)
    backlog = f"{quality.get('most_backlog_bytes', 0) / 1e6:.1f} MB"
    size = f"{quality.get('size_bytes', 0) / 1e6:.1f} MB"
    line = (
        f"{Path(quality['folder']).name:<24}{_SUCCESS[success]:>8}{quality['verdict']:>8}"
        f"{quality.get('seconds', 0.0):>8.1f}{frames}{backlog:>10}{size:>10}"
    )
    return "\n".join([line, *(f"    {reason}" for reason in quality["reasons"])])
