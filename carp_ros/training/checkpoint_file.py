"""Reads weight files from untrusted sources, either completely or not at all.

No code in such a file is run, and reading takes no more memory than the file has bytes.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from carp_ros.refusal import refusing

_DIGEST = "sha256"
_ANEW = "expected a whole file: copy it again, or train again"


def write_safetensors(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors as a .safetensors file with a checksum, so that a flipped bit is detected."""
    whole = {name: value.detach().contiguous().clone() for name, value in weights.items()}
    save_file(whole, path, {_DIGEST: _digest(whole)})


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file, by name.

    Raises:
        ValueError: If it can't be read, or was changed since `write_safetensors` wrote it. Files of
            other programs have no checksum and are not checked for changes.
    """
    _require_regular(path)
    with refusing(ValueError, str(path)):
        with safe_open(path, "pt") as file:
            names = file.keys()
            weights = {name: file.get_tensor(name) for name in names}
            said = (file.metadata() or {}).get(_DIGEST)
        if said is not None and said != _digest(weights):
            raise ValueError(f"its weights are not those that were saved; {_ANEW}")
    return weights


def _digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, types, shapes and numbers, in hex."""
    found = sha256()
    for name in sorted(weights):
        value = weights[name].cpu()
        found.update(f"{name!r} {value.dtype} {tuple(value.shape)};".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def read_torch(path: Path) -> dict[str, Any]:
    """Load a dictionary of tensors and plain values that `torch.save` wrote.

    Raises:
        ValueError: If it can't be read, is from a torch before 1.6, or holds anything else.
    """
    _require_regular(path)
    with refusing(ValueError, str(path)):
        _require_whole_archive(path)
        # memory-mapped: a tensor that claims bytes beyond the end of the file is rejected, not read
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected a dictionary")
    return content


def _require_regular(path: Path) -> None:
    with refusing(ValueError, str(path)):
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("is no regular file; expected one: name the file itself")


def _require_whole_archive(path: Path) -> None:
    """Raise if an archive was changed or truncated, which torch does not check."""
    if not zipfile.is_zipfile(path):
        raise ValueError(f"is no checkpoint of torch 1.6 or later; {_ANEW}")
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(
                    f"{entry.filename} is compressed, which torch never writes; {_ANEW}"
                )
        if (changed := archive.testzip()) is not None:
            raise ValueError(f"{changed} was changed; {_ANEW}")
