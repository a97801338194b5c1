"""Running compiled graphs in memory that stays: a runtime, its buffers, and its sessions.

A robot asks the same graphs the same thing ten times a second. So every graph is bound once to the
memory that it reads and writes, and one graph's output is the next one's input where it lies: keys
and values of attention among them. After that a run takes no memory and moves no number that it
need not.
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
"""Computes what was bound; raises DeviceError if the runtime can't."""


@dataclass(frozen=True)
class TensorSpec:
    """Shape and type of a graph's input or output; neither ever changes."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @classmethod
    def of(cls, array: Tensor) -> TensorSpec:
        """Return that of an array."""
        return cls(array.shape, array.dtype)

    def __str__(self) -> str:
        """Say it as in an error."""
        return f"{self.dtype} of shape {self.shape}"


class Buffer(Protocol):
    """Memory for one tensor, where a runtime computes."""

    @property
    def spec(self) -> TensorSpec:
        """What fits into it."""
        ...

    def write(self, array: Tensor) -> None:
        """Copy an array of `spec` into it."""
        ...

    def read(self) -> Tensor:
        """Return what lies in it, valid until the next run that writes there."""
        ...


class Session(Protocol):
    """One graph, loaded."""

    @property
    def inputs(self) -> Mapping[str, TensorSpec]:
        """What it takes, by name."""
        ...

    @property
    def outputs(self) -> Mapping[str, TensorSpec]:
        """What it gives, by name."""
        ...

    def bind(self, buffers: Mapping[str, Buffer]) -> Run:
        """Return what computes from some buffers into others.

        Args:
            buffers: Of this runtime, by the name of each input and output.
        """
        ...


class Runtime(Protocol):
    """What computes graphs on one device."""

    def session(self, path: Path) -> Session:
        """Return a graph, loaded.

        Raises:
            ValueError: If the file is no graph that the runtime takes, or its shapes are not fixed.
        """
        ...

    def buffer(self, spec: TensorSpec) -> Buffer:
        """Return memory for a tensor, zeros at first."""
        ...


def write_inputs(buffers: Mapping[str, Buffer], arrays: Mapping[str, Tensor]) -> None:
    """Copy arrays into the buffers of their names.

    Raises:
        DeviceError: If one has no buffer of its shape and type; nothing is written then.
    """
    for name, array in arrays.items():
        if name not in buffers:
            raise DeviceError(f"no input {name}; expected {', '.join(buffers)}")
        given = TensorSpec.of(array)
        if given != buffers[name].spec:
            raise DeviceError(f"{name} is {given}; expected {buffers[name].spec}")
    for name, array in arrays.items():
        buffers[name].write(array)
