"""A child process and everything it starts: reads its output, and ends all of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from carp_ros.processes.interrupts import interrupts_held
from carp_ros.processes.parent import known_parent

PATIENCE_S = {signal.SIGINT: 5.0, signal.SIGTERM: 2.0, signal.SIGKILL: 1.0}
"""How long a process may take to end after each signal, the gentlest first."""

SURVIVORS_S = 10.0
"""How long its own children may take after that: a servo stops the arm, a writer ends its file."""

_STEP_S = 0.02


class Child:
    """One process in its own process group.

    Ctrl-C does not reach it: its owner ends it, in the right order. SIGINT is held back until it
    calls `take_held_interrupts`, as `run_node` does.

    Args:
        command: Command line to run.
        environment: Variables to add to those of this process.
        log: Called with each line of output, on a separate thread.
    """

    def __init__(
        self, command: list[str], environment: Mapping[str, str], log: Callable[[str], None]
    ) -> None:
        with interrupts_held():
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
        """The process id, which is also the id of its process group."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return its exit code as `subprocess` does; None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Signal the process, but not its children, if it is still running."""
        if self.poll() is None:
            self._process.send_signal(number)

    def gone(self) -> bool:
        """Return whether it and everything it started have ended."""
        if self.poll() is None:
            return False
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def ask_to_end(self, now_s: float) -> None:
        """Send the next signal if it is due; call this repeatedly until the process is `gone`."""
        if now_s < self._due_s:
            return
        if self.poll() is None:
            number, patience_s = next(self._asked, (signal.SIGKILL, 1.0))
            self._due_s = now_s + patience_s
            self.signal(number)

    def kill(self) -> None:
        """Kill it and everything it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Release the resources of a process that has ended."""
        self._reader.join(1.0)  # the pipe stays open if a process outside the group holds it

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._log(line.rstrip("\n"))


def end_all(children: Iterable[Child], hurry: Callable[[], bool]) -> None:
    """End processes one after the other, each with everything it started; finally by force.

    Args:
        children: Processes in the order in which to end them.
        hurry: Whether to end all remaining ones at once.
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
