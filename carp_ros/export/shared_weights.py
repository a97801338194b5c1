"""One file with the weights of several graphs and of their network.

Weights that occur more than once are stored once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import onnx
from onnx.external_data_helper import set_external_data

from carp_ros.training.bundled_network import Place

_SMALLEST_BYTES = 256
_ALIGNMENT = 64


def share_weights(
    graphs: Sequence[Path], named: Mapping[str, npt.NDArray[np.float32]], weights: Path
) -> dict[str, Place]:
    """Move the weights of ONNX files into one file; return the places of the network's weights.

    Args:
        graphs: ONNX files in one folder; each is rewritten.
        named: The weights of the network, by name.
        weights: The weights file, in the same folder.

    Raises:
        ValueError: If one of the network's weights is not float32, which `Place` requires.
    """
    with weights.open("wb") as file:
        pool = _Pool(file)
        for path in graphs:
            model = onnx.load(path)
            for tensor in model.graph.initializer:
                content = onnx.numpy_helper.to_array(tensor).tobytes()
                if len(content) < _SMALLEST_BYTES:
                    continue
                tensor.raw_data = content  # whichever field held them
                set_external_data(tensor, weights.name, pool.put(content), len(content))
                for field in ("raw_data", "float_data", "int32_data", "int64_data"):
                    tensor.ClearField(field)
            onnx.save(model, path)
        return {name: _place(pool, name, array) for name, array in named.items()}


class _Pool:
    """A file of byte strings, in which each is stored once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._offsets: dict[bytes, int] = {}  # by hash of the content

    def offset(self, content: bytes) -> int | None:
        """Return the offset of a content, or None if it is not stored."""
        return self._offsets.get(hashlib.sha256(content).digest())

    def put(self, content: bytes) -> int:
        """Store a content, unless already stored; return its offset."""
        known = self.offset(content)
        if known is not None:
            return known
        self._file.write(b"\0" * (-self._file.tell() % _ALIGNMENT))
        offset = self._offsets[hashlib.sha256(content).digest()] = self._file.tell()
        self._file.write(content)
        return offset


def _place(pool: _Pool, name: str, array: npt.NDArray[np.float32]) -> Place:
    """Return the place of a network's array, perhaps stored transposed for a graph."""
    if array.dtype != np.float32:
        raise ValueError(f"{name} is {array.dtype}; expected float32, as `Place` has it")
    content = array.tobytes()
    if pool.offset(content) is None and array.ndim == 2:
        offset = pool.offset(array.T.tobytes())
        if offset is not None:
            return Place(offset, array.shape, transposed=True)
    return Place(pool.put(content), array.shape)
