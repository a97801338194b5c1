"""Interfaces for running compiled graphs in preallocated memory: runtimes, buffers and sessions.

A robot runs the same graphs ten times a second. Each graph is therefore bound once to the buffers
that it reads and writes, and one graph's output buffer is the next one's input, including
attention's keys and values. After that, a run allocates nothing and copies only inputs and results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import Tensor

Run = Callable[[], None]
"""Runs a bound graph; raises DeviceError if the runtime fails."""


@dataclass(frozen=True)
class TensorSpec:
    """Shape and type of a graph's input or output; both are static."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @classmethod
    def of(cls, array: Tensor) -> TensorSpec:
        """Return the spec of an array."""
        return cls(array.shape, array.dtype)

    def __str__(self) -> str:
        """Format for error messages."""
        return f"{self.dtype} of shape {self.shape}"


class Buffer(Protocol):
    """Memory for one tensor, on the runtime's device."""

    @property
    def spec(self) -> TensorSpec:
        """Its shape and type."""
        ...

    def write(self, array: Tensor) -> None:
        """Copy an array of `spec` into the buffer."""
        ...

    def read(self) -> Tensor:
        """Return the content, valid until the next run that writes to it."""
        ...


class Session(Protocol):
    """One loaded graph."""

    @property
    def inputs(self) -> Mapping[str, TensorSpec]:
        """Its inputs, by name."""
        ...

    @property
    def outputs(self) -> Mapping[str, TensorSpec]:
        """Its outputs, by name."""
        ...

    def bind(self, buffers: Mapping[str, Buffer]) -> Run:
        """Return a function that runs the graph on these buffers.

        Args:
            buffers: Of this runtime, by the name of each input and output.
        """
        ...


class Runtime(Protocol):
    """Runs graphs on one device."""

    def session(self, path: Path) -> Session:
        """Load a graph.

        Raises:
            ValueError: If the runtime can't load the file, or its shapes are not static.
        """
        ...

    def buffer(self, spec: TensorSpec) -> Buffer:
        """Allocate memory for a tensor, initially zeros."""
        ...


def write_inputs(buffers: Mapping[str, Buffer], arrays: Mapping[str, Tensor]) -> None:
    """Copy arrays into the buffers of the same names.

    Raises:
        DeviceError: If an array has no buffer of its shape and type; then nothing is written.
    """
    for name, array in arrays.items():
        if name not in buffers:
            raise DeviceError(f"no input {name}; expected {', '.join(buffers)}")
        given = TensorSpec.of(array)
        if given != buffers[name].spec:
            raise DeviceError(f"{name} is {given}; expected {buffers[name].spec}")
    for name, array in arrays.items():
        buffers[name].write(array)
