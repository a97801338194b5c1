"""How a command line is told to others."""

from __future__ import annotations

import sys
from pathlib import Path


def command_line() -> list[str]:
    """Return this process's command, with the last part of each path: the rest is the machine's."""
    words = (Path(word).name if "/" in word else word for word in sys.argv[1:])
    return ["python", "-m", "bench.ablations", *words]
