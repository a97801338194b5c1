"""Engine files: graphs that TensorRT compiled for one GPU architecture.

An engine is machine code, so it is only used for exactly what it was built from and for: the first
line of the file states that key, and the reader compares it with the key it needs.
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
        graph: The ONNX file's name without extension.
        sha256: Of that file and its weights file, in hex.
        capability: The GPU's compute capability, such as `8.6`.
        library: The library that built it, with its version.
        precision: `half` or `single`; see `tensorrt_build`.
    """

    graph: str
    sha256: str
    capability: str
    library: str
    precision: str

    @property
    def file_name(self) -> str:
        """The file name, unique to this key."""
        kind = f"sm{self.capability.replace('.', '')}-{self.precision}"
        library = self.library.replace(" ", "-")
        return f"{self.graph}-{self.sha256[:16]}-{kind}-{library}.engine"


def engines_folder() -> Path:
    """Return the folder where a starting policy looks for engines and stores new ones."""
    return cache_folder() / "engines"


def write_engine(folder: Path, key: EngineKey, content: bytes) -> Path:
    """Write an engine to a folder atomically; return the file."""
    path = folder / key.file_name
    header = {**asdict(key), "engine_sha256": hashlib.sha256(content).hexdigest()}
    with whole_file(path) as draft:
        draft.write_bytes(json.dumps(header).encode() + b"\n" + content)
    return path


def read_engine(path: Path, key: EngineKey) -> bytes:
    """Read an engine.

    Args:
        path: Its file.
        key: The key it must have.

    Raises:
        ValueError: If it has another key, or is incomplete or changed.
    """
    with path.open("rb") as file:
        line = file.readline(_LONGEST_HEADER)
        content = file.read()
    remedy = "delete it: it is rebuilt when it is next needed"
    try:
        header = json.loads(line)
        found = EngineKey(**{field.name: header[field.name] for field in fields(EngineKey)})
        sha256 = header["engine_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not an engine that carp_ros wrote: {error!r}; {remedy}"
        ) from error
    for field in fields(EngineKey):
        has, wanted = getattr(found, field.name), getattr(key, field.name)
        if has != wanted:
            raise ValueError(
                f"{path} was built for {field.name} {has}; expected {wanted}: {remedy}"
            )
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is cut short or was changed; {remedy}")
    return content
