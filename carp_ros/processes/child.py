"""A child process with all that it starts: its output, its end, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from carp_ros.processes.parent import known_parent

PATIENCE_S = {signal.SIGINT: 5.0, signal.SIGTERM: 2.0, signal.SIGKILL: 1.0}
"""How long a process may take to end after each signal, the gentlest first."""

SURVIVORS_S = 10.0
"""How long what it started may take after that: a servo stops the arm, a writer ends its file."""

_STEP_S = 0.02


class Child:
    """One process in a group of its own.

    Ctrl-C does not reach it: whoever started it ends it, in the right order.

    Args:
        command: What to run.
        environment: Variables beside those of this process.
        log: Takes each line that it writes; called from a thread of its own.
    """

    def __init__(
        self, command: list[str], environment: Mapping[str, str], log: Callable[[str], None]
    ) -> None:
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **known_parent(), "PYTHONUNBUFFERED": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._log = log
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._asked = iter(PATIENCE_S.items())
        self._due_s = 0.0

    @property
    def pid(self) -> int:
        """The process's number, and its group's."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return how it ended, as `subprocess` does; None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Signal the process alone, if it still runs."""
        if self.poll() is None:
            self._process.send_signal(number)

    def gone(self) -> bool:
        """Tell whether it and all that it started have ended."""
        if self.poll() is None:
            return False
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def ask_to_end(self, now_s: float) -> None:
        """Send the next signal if it is due; call it again and again until it is `gone`."""
        if now_s < self._due_s:
            return
        if self.poll() is None:
            number, patience_s = next(self._asked, (signal.SIGKILL, 1.0))
            self._due_s = now_s + patience_s
            self.signal(number)

    def kill(self) -> None:
        """End it, and all that it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Let go of a process that has ended."""
        self._reader.join(1.0)  # its pipe stays open if someone outside the group has it

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._log(line.rstrip("\n"))


def end_all(children: Iterable[Child], hurry: Callable[[], bool]) -> None:
    """End processes one after the other, each with all that it started; at last, by force.

    Args:
        children: In the order in which they end.
        hurry: Whether to end those that are left all at once.
    """
    left = list(children)
    deadline_s: dict[Child, float] = {}
    while left:
        now_s = time.monotonic()
        for child in list(left) if hurry() else left[:1]:
            child.ask_to_end(now_s)
            if child.poll() is not None:
                deadline_s.setdefault(child, now_s + SURVIVORS_S)
            if child.gone() or now_s > deadline_s.get(child, now_s):
                child.kill()
                left.remove(child)
        time.sleep(_STEP_S)
