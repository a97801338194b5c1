"""Keeps the output of a system's nodes, to be shown when something goes wrong."""

from __future__ import annotations

import sys


class NodeLog:
    """Keeps the nodes' latest output lines; prints them at once if `verbose`, else on `replay`."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._lines: list[str] = []

    def __call__(self, name: str, line: str) -> None:
        """Take one output line of a node."""
        self._lines = [*self._lines[-200:], f"{name}: {line}"]
        if self._verbose:
            print(self._lines[-1], flush=True)

    def replay(self) -> None:
        """Print the kept lines, unless they were already printed."""
        if not self._verbose:
            print("\n".join(self._lines), file=sys.stderr)
