"""The port that takes URScript: programs as text, answered by nothing."""

from __future__ import annotations

from collections.abc import Callable

_END = b"\nend\n"


class ScriptConnection:
    """One client of the script port. `upload` is called with every complete program."""

    def __init__(self, upload: Callable[[str], None]) -> None:
        self._upload = upload
        self._rest = b""

    def receive(self, data: bytes) -> bytes:
        """Take in text; a program is complete at an `end` that is not indented."""
        *programs, self._rest = (self._rest + data).split(_END)
        for program in programs:
            self._upload(program.decode(errors="replace") + "\nend\n")
        return b""
