"""The URScript port, which takes programs as text and sends no answers."""

from __future__ import annotations

from collections.abc import Callable

_END = b"\nend\n"


class ScriptConnection:
    """One client of the script port. `upload` is called with every complete program."""

    def __init__(self, upload: Callable[[str], None]) -> None:
        self._upload = upload
        self._rest = b""

    def receive(self, data: bytes) -> bytes:
        """Process text; an unindented `end` completes a program."""
        *programs, self._rest = (self._rest + data).split(_END)
        for program in programs:
            self._upload(program.decode(errors="replace") + "\nend\n")
        return b""
