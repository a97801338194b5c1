"""What the nodes of a system said, for whoever asks what went wrong."""

from __future__ import annotations

import sys


class NodeLog:
    """Keeps what the nodes say, and shows it at once if `verbose`, or when something fails."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose
        self._lines: list[str] = []

    def __call__(self, name: str, line: str) -> None:
        """Take one line of a node."""
        self._lines = [*self._lines[-200:], f"{name}: {line}"]
        if self._verbose:
            print(self._lines[-1], flush=True)

    def replay(self) -> None:
        """Show what was kept, for whoever asks what went wrong."""
        if not self._verbose:
            print("\n".join(self._lines), file=sys.stderr)
