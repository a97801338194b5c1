"""Files of weights that somebody else may have written: read whole, or refused by name.

Nothing in such a file is run, and none makes more memory be taken than it has bytes.
"""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from carp_ros.refusal import refusing

_ANEW = "expected a whole file: copy it again, or train anew"


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file, by name.

    Raises:
        ValueError: If it can't be read.
    """
    _require_regular(path)
    with refusing(ValueError, str(path)):
        return load_file(path)


def read_torch(path: Path) -> dict[str, Any]:
    """Return the dictionary that `torch.save` wrote, of tensors and plain values.

    Raises:
        ValueError: If it can't be read, is of a torch before 1.6, or holds anything else.
    """
    _require_regular(path)
    with refusing(ValueError, str(path)):
        _require_whole_archive(path)
        # mapped: what a tensor claims beyond the end of the file is refused, not read
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected a dictionary")
    return content


def _require_regular(path: Path) -> None:
    with refusing(ValueError, str(path)):
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("is no regular file; expected one: name the file itself")


def _require_whole_archive(path: Path) -> None:
    """Refuse an archive that was changed or cut off, which torch does not look for."""
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
