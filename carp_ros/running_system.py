"""Runs the nodes of a system as child processes: starts, watches and stops them as one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from carp_ros.bringup import NodeProcess
from carp_ros.errors import DeviceError
from carp_ros.parent import end_with_parent
from carp_ros.ready import READY

PATIENCE_S = {signal.SIGINT: 5.0, signal.SIGTERM: 2.0, signal.SIGKILL: 1.0}
"""How long a node may take to end after each signal, the gentlest first."""

Log = Callable[[str, str], None]
"""Takes a node's name and one line that it wrote; called from one thread a node."""


@dataclass(frozen=True)
class Exit:
    """How a node ended: `code` as a shell gives it, 128 and more for a signal."""

    name: str
    code: int

    def __str__(self) -> str:
        """Say it in words."""
        if self.code > 128:
            return f"{self.name} was ended by {signal.Signals(self.code - 128).name}"
        return f"{self.name} ended with exit code {self.code}"


def command_of(node: NodeProcess) -> list[str]:
    """Return the command that starts a node in this interpreter."""
    command = [sys.executable, "-m", f"carp_ros.nodes.{node.executable}", "--ros-args"]
    command += ["-r", f"__node:={node.name}"]
    for name, value in node.parameters.items():
        command += ["-p", f"{name}:={json.dumps(value)}"]  # quoted: YAML would read 1 as a number
    return command


class RunningSystem:
    """The nodes of a system, running from `with` until its block ends.

    On the way out they are stopped in reverse order, and nothing that they started is left. If
    this process is killed, the kernel tells them to stop. Enter it in the main thread: the kernel
    counts the end of the thread that started them as their parent's death.

    Args:
        nodes: As `carp_ros.bringup.describe` gives them.
        log: Where their output goes.
        command: Returns the command that starts a node.
    """

    def __init__(
        self,
        nodes: tuple[NodeProcess, ...],
        log: Log,
        command: Callable[[NodeProcess], list[str]] = command_of,
    ) -> None:
        self._nodes = nodes
        self._log = log
        self._command = command
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._readers: list[threading.Thread] = []
        self._folder = tempfile.TemporaryDirectory(prefix="carp_")
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self) -> RunningSystem:
        """Start every node."""
        address = str(Path(self._folder.name) / "notify")
        self._notices.bind(address)
        try:
            for node in self._nodes:
                self._start(node, address)
            for name, process in self._running.items():
                reader = threading.Thread(target=self._read, args=(name, process), daemon=True)
                reader.start()
                self._readers.append(reader)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop every node."""
        self.stop()

    def wait_until_ready(self, timeout_s: float) -> None:
        """Return once the supervisor says that the system is up.

        Raises:
            DeviceError: If a node ended instead, or the time is over.
        """
        deadline = time.monotonic() + timeout_s
        self._notices.settimeout(0.1)
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                if READY in self._notices.recv(4096).splitlines():
                    return
            if ended := self.first_exit():
                raise DeviceError(f"{ended} before the system was up; its output says why")
        raise DeviceError(
            f"the system was not up within {timeout_s:.0f} s; the output of its nodes says what"
            " they wait for"
        )

    def pid(self, name: str) -> int:
        """Return the process number of a node."""
        return self._running[name].pid

    def first_exit(self) -> Exit | None:
        """Return how a node ended, or None while all run."""
        for name, process in self._running.items():
            code = process.poll()
            if code is not None:
                return Exit(name, code if code >= 0 else 128 - code)
        return None

    def wait(self) -> Exit:
        """Return how the first node ended, as soon as one does."""
        while (ended := self.first_exit()) is None:
            time.sleep(0.1)
        return ended

    def stop(self) -> None:
        """Stop the nodes in reverse order; when interrupted, all at once. May be called again."""
        try:
            for name in reversed(self._running):
                self._stop(self._running[name])
        finally:
            for process in self._running.values():
                _signal_group(process, signal.SIGKILL)
                process.wait()
            for reader in self._readers:
                reader.join(1.0)  # its pipe stays open if someone outside the group has it
            self._running.clear()
            self._notices.close()
            self._folder.cleanup()

    def _start(self, node: NodeProcess, notify_address: str) -> None:
        process = subprocess.Popen(
            self._command(node),
            env={**os.environ, "NOTIFY_SOCKET": notify_address, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches this process alone, which stops them in order
            preexec_fn=_obey_parent,
        )
        self._running[node.name] = process

    def _read(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._log(name, line.rstrip("\n"))

    def _stop(self, process: subprocess.Popen[str]) -> None:
        for number, patience_s in PATIENCE_S.items():
            if process.poll() is not None:
                return
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience_s)


def _obey_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored if a script started us with `&`
    end_with_parent(signal.SIGINT)


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal a node and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
