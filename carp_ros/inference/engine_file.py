"""Engines on disk: graphs that TensorRT compiled for one kind of GPU.

An engine is machine code, so it is used only for exactly what it was built from and for: the file
says in its first line what that was, and whoever reads it says what it must be.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from carp_ros.files.whole_file import whole_file
from carp_ros.share import cache_folder

_LONGEST_HEADER = 4096


@dataclass(frozen=True)
class EngineKey:
    """What an engine was built from and for.

    Attributes:
        graph: The ONNX file's name without its ending.
        sha256: Of that file and of the weights that it names, in hex.
        capability: The GPU's compute capability, as `8.6`.
        library: What built it, with its version.
        precision: `half` or `single`; see `tensorrt_build`.
    """

    graph: str
    sha256: str
    capability: str
    library: str
    precision: str

    @property
    def file_name(self) -> str:
        """Say it as a file's name; engines of different keys never share one."""
        kind = f"sm{self.capability.replace('.', '')}-{self.precision}"
        library = self.library.replace(" ", "-")
        return f"{self.graph}-{self.sha256[:16]}-{kind}-{library}.engine"


def engines_folder() -> Path:
    """Return where a policy that starts looks for engines, and puts those that it has built."""
    return cache_folder() / "engines"


def write_engine(folder: Path, key: EngineKey, content: bytes) -> Path:
    """Write an engine into a folder, whole or not at all; return the file."""
    path = folder / key.file_name
    header = {**asdict(key), "engine_sha256": hashlib.sha256(content).hexdigest()}
    with whole_file(path) as draft:
        draft.write_bytes(json.dumps(header).encode() + b"\n" + content)
    return path


def read_engine(path: Path, key: EngineKey) -> bytes:
    """Return an engine.

    Args:
        path: Its file.
        key: What it must have been built from and for.

    Raises:
        ValueError: If it was built from or for anything else, or is not whole.
    """
    with path.open("rb") as file:
        line = file.readline(_LONGEST_HEADER)
        content = file.read()
    remedy = "delete it: it is built anew when it is next needed"
    try:
        header = json.loads(line)
        found = EngineKey(**{field.name: header[field.name] for field in fields(EngineKey)})
        sha256 = header["engine_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no engine of ours: {error!r}; {remedy}") from error
    for field in fields(EngineKey):
        has, wanted = getattr(found, field.name), getattr(key, field.name)
        if has != wanted:
            raise ValueError(
                f"{path} was built for {field.name} {has}; expected {wanted}: {remedy}"
            )
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is cut short or was changed; {remedy}")
    return content
