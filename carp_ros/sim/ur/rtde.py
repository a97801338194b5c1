"""The controller's side of RTDE version 2: messages, recipes, and one object per connection.

Source: Universal Robots, "Real-Time Data Exchange (RTDE) Guide". Big endian; a message is uint16
size (including the header), uint8 type, payload. Recipe numbers start at 1 on every connection, as
ur-rtde assumes them without reading the answers.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from carp_ros.sim.ur.registers import InputTarget, Registers

REQUEST_VERSION = 86
CONTROLLER_VERSION = 118
TEXT = 77
SETUP_OUTPUTS = 79
SETUP_INPUTS = 73
START = 83
PAUSE = 80
DATA = 85

_HEADER = struct.Struct(">HB")
_FORMATS = {
    "DOUBLE": "d",
    "INT32": "i",
    "UINT32": "I",
    "UINT64": "Q",
    "VECTOR3D": "3d",
    "VECTOR6D": "6d",
    "VECTOR6INT32": "6i",
}
_CYCLE_HZ = 500.0


@dataclass(frozen=True)
class Output:
    """A variable that the controller reports: its RTDE `type`, and `read` for its numbers."""

    type: str
    read: Callable[[], Sequence[float]]


class RtdeError(Exception):
    """The byte stream is not RTDE; the controller closes the connection."""


def encode(kind: int, payload: bytes) -> bytes:
    """Return one message."""
    return _HEADER.pack(_HEADER.size + len(payload), kind) + payload


class RtdeMessageReader:
    """Splits a byte stream into messages, however the network fragmented it."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the messages that `data` completes, as type and payload.

        Raises:
            RtdeError: If a message claims to be shorter than its own header.
        """
        buffer = self._rest + data
        messages = []
        start = 0
        while len(buffer) - start >= _HEADER.size:
            size, kind = _HEADER.unpack_from(buffer, start)
            if size < _HEADER.size:
                raise RtdeError(f"message of {size} bytes; expected {_HEADER.size} or more")
            if len(buffer) - start < size:
                break
            messages.append((kind, buffer[start + _HEADER.size : start + size]))
            start += size
        self._rest = buffer[start:]
        return messages


@dataclass(frozen=True)
class _InputRecipe:
    layout: struct.Struct
    targets: tuple[InputTarget, ...]
    holds_command: bool


class RtdeConnection:
    """One client of the RTDE port; `started` while it receives data.

    Args:
        outputs: Every variable that clients can request.
        registers: Receive the client's inputs; each input belongs to one connection at a time.
        version: Major, minor, bugfix and build number of the controller.
    """

    def __init__(
        self,
        outputs: Mapping[str, Output],
        registers: Registers,
        version: tuple[int, int, int, int],
    ) -> None:
        self._outputs = outputs
        self._registers = registers
        self._version = version
        self._reader = RtdeMessageReader()
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._recipes: dict[int, _InputRecipe] = {}
        self._reads: list[Callable[[], Sequence[float]]] = []
        self._layout = struct.Struct(">")
        self._every = 1
        self._cycle = 0
        self.started = False

    def receive(self, data: bytes, most_inputs: int | None = None) -> bytes:
        """Process the client's data; return the answers.

        Args:
            data: Received bytes.
            most_inputs: Number of its input messages to process now; the others wait for the next
                call. None for all.

        Raises:
            RtdeError: If the stream is not RTDE.
        """
        self._waiting.extend(self._reader.feed(data))
        answers, inputs = [], 0
        while self._waiting and not (self._waiting[0][0] == DATA and inputs == most_inputs):
            kind, payload = self._waiting.popleft()
            inputs += kind == DATA
            try:
                answers.append(self._answer(kind, payload))
            except (struct.error, IndexError, ValueError) as error:
                problem = f"a message whose payload does not fit its type: {error}"
                raise RtdeError(problem) from error
        return b"".join(answers)

    @property
    def waiting(self) -> int:
        """Number of received messages that are not processed yet."""
        return len(self._waiting)

    def cycle(self) -> bytes:
        """Return this cycle's data message; empty when none is due."""
        if not self.started:
            return b""
        self._cycle += 1
        if self._cycle % self._every:
            return b""
        numbers = chain.from_iterable(read() for read in self._reads)
        return encode(DATA, b"\x01" + self._layout.pack(*numbers))

    def close(self) -> None:
        """Release the input registers that this client reserved."""
        self._registers.release(self)

    def _answer(self, kind: int, payload: bytes) -> bytes:
        if kind == DATA:
            return self._take_inputs(payload)
        if kind == REQUEST_VERSION:
            return encode(kind, bytes([payload == b"\x00\x02"]))
        if kind == CONTROLLER_VERSION:
            return encode(kind, struct.pack(">4I", *self._version))
        if kind == SETUP_OUTPUTS:
            return encode(kind, self._set_up_outputs(payload))
        if kind == SETUP_INPUTS:
            return encode(kind, self._set_up_inputs(payload))
        if kind in (START, PAUSE):
            self.started = kind == START and bool(self._reads)
            return encode(kind, bytes([self.started or kind == PAUSE]))
        return text_message(f"message type {kind} is not known")

    def _set_up_outputs(self, payload: bytes) -> bytes:
        (rate_hz,) = struct.unpack_from(">d", payload)
        names = _names(payload[8:])
        found = [self._outputs.get(name) for name in names]
        types = ["NOT_FOUND" if output is None else output.type for output in found]
        known = [output for output in found if output is not None]
        if not names or len(known) < len(names):
            return b"\x00" + ",".join(types).encode()
        self._reads = [output.read for output in known]
        self._layout = struct.Struct(">" + "".join(_FORMATS[output.type] for output in known))
        self._every = max(1, round(_CYCLE_HZ / max(rate_hz, 1.0)))
        return b"\x01" + ",".join(types).encode()

    def _set_up_inputs(self, payload: bytes) -> bytes:
        names = _names(payload)
        types = [self._registers.claim(self, name) for name in names]
        if {"NOT_FOUND", "IN_USE"} & set(types):
            return b"\x00" + ",".join(types).encode()
        number = len(self._recipes) + 1
        self._recipes[number] = _InputRecipe(
            struct.Struct(">" + "".join(_FORMATS[kind] for kind in types)),
            tuple(chain.from_iterable(self._registers.targets(name) for name in names)),
            "input_int_register_0" in names,
        )
        return bytes([number]) + ",".join(types).encode()

    def _take_inputs(self, payload: bytes) -> bytes:
        recipe = self._recipes.get(payload[0])
        if recipe is None or len(payload) != 1 + recipe.layout.size:
            return text_message(f"data of {len(payload)} bytes fit no recipe {payload[0]}")
        for (store, index), number in zip(recipe.targets, recipe.layout.unpack_from(payload, 1)):
            store[index] = number
        if recipe.holds_command:
            self._registers.command_count += 1
        return b""


def text_message(text: str) -> bytes:
    """Return a text message of level error, as the controller sends when it rejects something."""
    body = text.encode()[:255]
    source = b"RTDE"
    return encode(TEXT, bytes([len(body)]) + body + bytes([len(source)]) + source + b"\x01")


def _names(text: bytes) -> list[str]:
    """Split comma-separated names; ur-rtde's lists end with a comma."""
    return [name for name in text.decode(errors="replace").split(",") if name]
