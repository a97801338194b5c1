"""One file for the weights of several graphs: what two of them have in common lies in it once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx.external_data_helper import set_external_data

_SMALLEST_BYTES = 256
_ALIGNMENT = 64


def share_weights(graphs: Sequence[Path], weights: Path) -> None:
    """Move the weights of ONNX files into a file beside them.

    Args:
        graphs: Files in one folder; each is written anew.
        weights: The file, in the same folder.
    """
    places: dict[bytes, int] = {}  # by hash of the bytes: where they begin
    with weights.open("wb") as file:
        for path in graphs:
            model = onnx.load(path)
            for tensor in model.graph.initializer:
                content = onnx.numpy_helper.to_array(tensor).tobytes()
                if len(content) < _SMALLEST_BYTES:
                    continue
                key = hashlib.sha256(content).digest()
                if key not in places:
                    file.write(b"\0" * (-file.tell() % _ALIGNMENT))
                    places[key] = file.tell()
                    file.write(content)
                tensor.raw_data = content  # whatever field held them
                set_external_data(tensor, weights.name, places[key], len(content))
                for field in ("raw_data", "float_data", "int32_data", "int64_data"):
                    tensor.ClearField(field)
            onnx.save(model, path)
