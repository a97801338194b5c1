"""The recorder's link to its writer process: never blocks on it, and detects its death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from carp_ros.processes.ring import make_ring
from carp_ros.recording.writer_process import COMMAND, ITEM
from carp_ros.rig import Rig

_COMMANDS_BYTES = 1 << 17  # of the ring, reserved for commands: a full ring still takes `finish`


class WriterLink:
    """One writer process and the ring buffer that feeds it.

    Args:
        rig: The rig.
        buffer_bytes: How far the disk may fall behind before messages are lost.
    """

    def __init__(self, rig: Rig, buffer_bytes: int) -> None:
        self._ring = make_ring(buffer_bytes + _COMMANDS_BYTES)
        command = [sys.executable, "-m", "carp_ros.recording.writer_process"]
        command += [*rig.file.arguments, "--ring", str(self._ring.descriptor)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[self._ring.descriptor],
            preexec_fn=_be_ordinary,
        )
        self._ring.close()
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._output, False)
        self._text = b""
        self.begin_count()

    @property
    def pid(self) -> int:
        """The process's ID."""
        return self._process.pid

    @property
    def backlog_bytes(self) -> int:
        """Bytes in the ring that the process has not taken yet."""
        return self._ring.backlog_bytes

    def begin_count(self) -> None:
        """Reset the counts of losses and backlog at the start of an episode."""
        self.lost = self._told = 0
        self.most_backlog_bytes = 0

    def tick(self, now_ns: int) -> None:
        """Send the time and the losses since the last tick; the answer is the quality so far."""
        if self.command(now_ns, "tick", lost=self.lost - self._told):
            self._told = self.lost

    def put(self, topic: int, received_ns: int, cdr: bytes, *, minor: bool = False) -> bool:
        """Send a message; if there is no room for it, count it as lost and return False.

        Args:
            topic: Index of its topic among the sources.
            received_ns: When it was received (ROS time).
            cdr: The serialized message.
            minor: Whether the second half of the buffer is kept free of it, for other messages.
        """
        head = ITEM.pack(topic, received_ns)
        reserve_bytes = self._ring.capacity // 2 if minor else _COMMANDS_BYTES
        if not self._ring.put(head, cdr, reserve_bytes=reserve_bytes):
            self.lost += 1
            return False
        self.most_backlog_bytes = max(self.most_backlog_bytes, self._ring.backlog_bytes)
        return True

    def command(self, now_ns: int, do: str, **content: Any) -> bool:
        """Queue a command behind everything sent so far; return False if the ring is full."""
        text = json.dumps({"do": do, **content}).encode()
        return self._ring.put(ITEM.pack(COMMAND, now_ns), text)

    def answers(self) -> list[dict[str, Any]]:
        """Return the process's answers since the last call."""
        try:
            while chunk := os.read(self._output, 1 << 16):
                self._text += chunk
        except BlockingIOError:
            pass
        *lines, self._text = self._text.split(b"\n")
        return [json.loads(line) for line in lines]

    def death(self) -> str:
        """Return how the process ended; empty while it runs."""
        code = self._process.poll()
        if code is None:
            return ""
        ended = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return f"the writer process {ended}"

    def stop(self, timeout_s: float) -> bool:
        """Let the process finish its queue; return whether it did within `timeout_s`."""
        self.command(0, "exit")
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False  # it keeps running and ends once everything is written
        return True

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()


def _be_ordinary() -> None:
    """Drop the node's raised priority: compressing and writing may be late, the arm may not."""
    os.setpriority(os.PRIO_PROCESS, 0, 0)
