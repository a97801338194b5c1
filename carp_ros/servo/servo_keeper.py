"""Keeps a servo process alive: starts it, detects its death or silence, and restarts it.

A new process never moves the arm by itself: an enable given before it started does not count.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress

from carp_ros.control.command import Record, ServoLink, ServoState
from carp_ros.errors import MessageError
from carp_ros.rig import Rig

SERVO_PROGRAM = (sys.executable, "-m", "carp_ros.servo.servo_process")
_START_TIMEOUT_NS = 15_000_000_000  # connecting to a robot and starting its program takes seconds
_SILENCE_NS = 500_000_000
_STEADY_NS = 5_000_000_000  # a run of this length ends a series of failures
_BACKOFF_S = (0.5, 1.0, 2.0, 5.0)


class ServoKeeper:
    """One servo process at a time.

    Args:
        rig: The rig. The process may be silent for as long as a recovery of its arm may take.
        link: The mailboxes; a first command must be written before `watch` is called.
        program: Command line to start; `--rig`, `--rig-sha256` and `--link` are appended.
    """

    def __init__(
        self,
        rig: Rig,
        link: ServoLink,
        program: tuple[str, ...] = SERVO_PROGRAM,
    ) -> None:
        self._command = [*program, *rig.file.arguments, "--link", link.name]
        self._link = link
        self._recovery_ns = round(rig.arm.recovery_s * 1e9)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_ns = 0
        self._start_at_ns = 0
        self._failures = 0
        self._states_seen = 0
        self._notes_seen = 0
        self._noted = False  # whether `note` is from the current process
        self.state: ServoState | None = None
        self.note = ""

    @property
    def pid(self) -> int | None:
        """The process id, None while there is no process."""
        return self._process.pid if self._process else None

    @property
    def waiting_for(self) -> str:
        """What is still missing; empty once the servo ticks."""
        if self.state is not None:
            return ""
        return f"the servo process to connect to the arm ({self.note or 'no answer yet'})"

    def watch(self, now_ns: int) -> str:
        """Start the process if due, and read its newest state.

        Returns:
            How a running servo was just lost; empty if it was not. A process that could not connect
            never controlled the arm and does not count: `waiting_for` gives the reason, and the
            process is restarted.
        """
        if self._process is None:
            if now_ns >= self._start_at_ns:
                self._start(now_ns)
            return ""
        self._read_note()
        if self._link.state.count != self._states_seen:
            self._states_seen = self._link.state.count
            record = self._link.state.read()
            with suppress(MessageError):  # an invalid state counts as silence
                self.state = self.state if record is None else ServoState.from_record(record)
            if self.state is not None and now_ns - self._started_ns > _STEADY_NS:
                self._failures = 0
        code = self._process.poll()
        if code is not None:
            return self._lost(now_ns, _death(code, self.note if self._noted else ""))
        silent = self._silence(now_ns)
        if silent:
            self._process.kill()
            self._process.wait()
            return self._lost(now_ns, silent)
        return ""

    def lateness(self) -> Record | None:
        """Return the newest `LATENESS_DTYPE` record, None before the first."""
        return self._link.lateness.read()

    def stop(self, timeout_s: float) -> None:
        """Wait for the process to exit as commanded; kill it after `timeout_s`."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self, now_ns: int) -> None:
        self._noted = False
        self._notes_seen = self._link.note.count
        self._states_seen = self._link.state.count
        self._started_ns = now_ns
        self._process = subprocess.Popen(self._command)

    def _silence(self, now_ns: int) -> str:
        """Return a description of the silence if it is too long, else an empty text."""
        if self.state is None:
            silent_ns, limit_ns = now_ns - self._started_ns, _START_TIMEOUT_NS
        else:
            silent_ns = now_ns - self.state.now_ns
            limit_ns = self._recovery_ns if self.state.busy else _SILENCE_NS
        if silent_ns <= limit_ns:
            return ""
        return f"the servo process was silent for {silent_ns * 1e-9:.1f} s and was killed"

    def _lost(self, now_ns: int, problem: str) -> str:
        ran = self.state is not None
        if ran:
            self.note = ""  # it concerned the lost process, not the next one
        self._process = None
        self.state = None
        delay_s = _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]
        self._failures += 1
        self._start_at_ns = now_ns + round(delay_s * 1e9)
        return problem if ran else ""

    def _read_note(self) -> None:
        if self._link.note.count == self._notes_seen:
            return
        self._notes_seen = self._link.note.count
        record = self._link.note.read()
        if record is not None:
            self._noted = True
            self.note = record["text"].item().decode(errors="replace")


def _death(code: int, note: str) -> str:
    """Describe how a process with exit code `code` ended."""
    if code < 0:
        return f"the servo process died of {signal.Signals(-code).name}; a new one is started"
    return f"the servo process ended: {note or f'exit code {code}'}; a new one is started"
