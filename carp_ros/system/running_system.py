"""Runs the nodes of a system as child processes: starts, watches, restarts and stops them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

from carp_ros.errors import DeviceError
from carp_ros.processes.child import Child, end_all
from carp_ros.processes.interrupts import Interrupts
from carp_ros.processes.mailbox import remove_leftovers
from carp_ros.processes.parent import HOLD
from carp_ros.processes.ready import READY
from carp_ros.processes.restarts import Exit, RestartDecision, Restarts, exit_of
from carp_ros.system.bringup import NodeProcess
from carp_ros.system.identity import SystemReservation

_STEP_S = 0.05

Log = Callable[[str, str], None]
"""Takes a node's name and one line of its output; called from one thread per node."""


def command_of(node: NodeProcess) -> list[str]:
    """Return the command that starts a node in this interpreter."""
    command = [sys.executable, "-m", f"{node.package}.{node.executable}", "--ros-args"]
    command += ["-r", f"__node:={node.name}"]
    if node.namespace:
        command += ["-r", f"__ns:=/{node.namespace}"]
    for name, value in node.parameters.items():
        command += ["-p", f"{name}:={json.dumps(value)}"]  # quoted: YAML reads 1 as a number
    return command


class RunningSystem:
    """The nodes of a system, running for the duration of a `with` block.

    A non-essential node that dies is restarted according to `processes.restarts`. On exit the nodes
    are stopped in reverse order, and nothing that they started is left running. If this process is
    killed, the nodes notice and stop. Enter the context in the main thread, so that a second Ctrl-C
    cannot interrupt the shutdown.

    Args:
        nodes: The nodes, from `carp_ros.system.bringup.describe`.
        log: Called with each line of their output.
        command: Returns the command line that starts a node.
    """

    def __init__(
        self,
        nodes: tuple[NodeProcess, ...],
        log: Log,
        command: Callable[[NodeProcess], list[str]] = command_of,
    ) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._log = log
        self._command = command
        self._running: dict[str, Child] = {}
        self._past: list[Child] = []  # dead, but their own children may still be finishing
        self._due_s: dict[str, float] = {}  # restart times, by name
        self._restarts = {
            node.name: Restarts(node.name, essential=node.essential) for node in nodes
        }
        self._interrupts = Interrupts()
        self._identity: SystemReservation | None = None
        self._lock = threading.Lock()  # guards all of the above against the watcher thread
        self._ending = threading.Event()
        self._fatal: Exit | None = None
        self._down: dict[str, str] = {}  # by name: why it is not restarted
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> RunningSystem:
        """Start every node.

        Raises:
            DeviceError: If such a system is already running.
        """
        self._interrupts.attend()
        try:
            self._identity = SystemReservation(tuple(self._nodes.values()))
            self._nodes = {node.name: node for node in self._identity.nodes}
            if self._identity.remark:
                self._log(next(iter(self._nodes)), self._identity.remark)
            remove_leftovers()
            self._notices.bind("")  # abstract address: leaves no file, and no path is too long
            for name in self._nodes:
                self._start(name)
            self._watcher.start()
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
        """Block until the supervisor announces that the system is up.

        Raises:
            DeviceError: If a node ended for good instead, or on timeout.
        """
        deadline = time.monotonic() + timeout_s
        self._notices.settimeout(0.1)
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                if READY in self._notices.recv(4096).splitlines():
                    return
            if ended := self.first_exit():
                raise DeviceError(f"{ended} before the system was up; its output says why")
            with self._lock:
                if self._down:
                    raise DeviceError(f"{next(iter(self._down.values()))}; the system is not up")
        raise DeviceError(
            f"the system was not up within {timeout_s:.0f} s; the output of its nodes says what"
            " they wait for"
        )

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the running nodes, by name."""
        with self._lock:
            return {name: c.pid for name, c in self._running.items() if c.poll() is None}

    def pid(self, name: str) -> int:
        """Return the process id of a node, of the newest process if it was restarted."""
        with self._lock:
            return self._running[name].pid

    @property
    def environment(self) -> dict[str, str]:
        """The variables added for the nodes, such as the simulated robot's address."""
        return {k: v for node in self._nodes.values() for k, v in node.environment.items()}

    @property
    def down(self) -> dict[str, str]:
        """Nodes that are down for good: name to reason; all others run or will be restarted."""
        with self._lock:
            return dict(self._down)

    def first_exit(self) -> Exit | None:
        """Return the exit of a node that ends the system, or None if there is none."""
        self._look()
        return self._fatal

    def wait(self) -> Exit:
        """Block until a node ends that the system cannot do without, and return its exit."""
        while (ended := self.first_exit()) is None:
            time.sleep(0.1)
        return ended

    def stop(self) -> None:
        """Stop the nodes in reverse order, or all at once if interrupted. May be called again."""
        self._interrupts.leave()
        self._ending.set()
        if self._watcher.is_alive():
            self._watcher.join()
        children = [self._running[name] for name in reversed(self._nodes) if name in self._running]
        children += self._past
        try:
            end_all(children, lambda: self._interrupts.hurry)
        finally:
            for child in children:
                child.kill()
                child.close()
            self._running.clear()
            self._past.clear()
            self._notices.close()
            if self._identity is not None:
                self._identity.release()
            remove_leftovers()
            self._interrupts.release()

    def _start(self, name: str) -> None:
        node = self._nodes[name]
        address = b"@" + self._notices.getsockname()[1:]
        environment = {**node.environment, "NOTIFY_SOCKET": os.fsdecode(address)}
        self._restarts[name].started(time.monotonic_ns())
        self._running[name] = Child(
            self._command(node), environment, lambda line: self._log(name, line)
        )

    def _watch(self) -> None:
        while not self._ending.wait(_STEP_S):
            self._look()

    def _look(self) -> None:
        """Handle nodes that ended, and restart those that are due."""
        with self._lock:
            if self._ending.is_set():
                return
            now_s = time.monotonic()
            for name, child in self._running.items():
                code = child.poll()
                if code is not None and name not in self._due_s and name not in self._down:
                    self._take_end(name, code, now_s)
            for name in [name for name, due_s in self._due_s.items() if now_s >= due_s]:
                del self._due_s[name]
                self._past.append(self._running[name])
                self._start(name)

    def _take_end(self, name: str, code: int, now_s: float) -> None:
        if self._fatal is not None:
            return
        verdict: RestartDecision = self._restarts[name].ended(code, time.monotonic_ns())
        if verdict.fatal:
            self._fatal = exit_of(name, code)
            return
        if control := self._running.get("control_node"):
            control.signal(HOLD)
        if verdict.pause_s is None:
            self._down[name] = verdict.text
        else:
            self._due_s[name] = now_s + verdict.pause_s
        self._log(name, verdict.text)
