"""The RTDE registers, through which clients and the controller's program exchange numbers."""

from __future__ import annotations

_COUNT = 48

InputTarget = tuple[list[float], int]
"""A list of numbers, and the index in it where a received number is stored."""


class Registers:
    """48 integers and 48 doubles in each direction; values persist until they are overwritten.

    Attributes:
        input_int, input_double: Written by clients, read by the program. They persist after the
            client disconnects, so a restarted program first finds the last command.
        output_int, output_double: Written by the program, reported to clients.
        command_count: Number of writes to `input_int_register_0`, for the watchdog.
    """

    def __init__(self) -> None:
        self.input_int: list[float] = [0] * _COUNT
        self.input_double: list[float] = [0.0] * _COUNT
        self.output_int: list[float] = [0] * _COUNT
        self.output_double: list[float] = [0.0] * _COUNT
        self.command_count = 0
        self._force_torque: list[float] = [0.0] * 6
        self._owners: dict[str, object] = {}
        self._inputs: dict[str, tuple[str, list[InputTarget]]] = {
            "external_force_torque": ("VECTOR6D", [(self._force_torque, i) for i in range(6)])
        }
        for i in range(_COUNT):
            self._inputs[f"input_int_register_{i}"] = ("INT32", [(self.input_int, i)])
            self._inputs[f"input_double_register_{i}"] = ("DOUBLE", [(self.input_double, i)])

    def claim(self, owner: object, name: str) -> str:
        """Reserve an input for `owner`; return its RTDE type, `NOT_FOUND` or `IN_USE`."""
        if name not in self._inputs:
            return "NOT_FOUND"
        if self._owners.setdefault(name, owner) is not owner:
            return "IN_USE"
        return self._inputs[name][0]

    def release(self, owner: object) -> None:
        """Release every input that `owner` reserved."""
        self._owners = {name: held for name, held in self._owners.items() if held is not owner}

    def targets(self, name: str) -> list[InputTarget]:
        """Return where the numbers of an input are stored."""
        return self._inputs[name][1]
