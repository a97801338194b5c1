"""The device and precision of a training."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

Precision = Literal["auto", "bf16", "fp16", "fp32"]


def training_device() -> torch.device:
    """Return this process's GPU, or the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device("cpu")


def to_device(array: npt.NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """Copy an array to the device; on a GPU without waiting for the copy."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def dtype_of(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the data type of a precision; `auto` is the fastest supported by the hardware.

    Raises:
        ValueError: If the device does not support the precision.
    """
    if precision == "auto":
        return torch.bfloat16 if _has_bf16(device) else torch.float32
    if precision == "bf16" and not _has_bf16(device):
        raise ValueError(
            f"--precision is bf16, which {device} computes only in software; expected fp32"
            + (" or fp16" if device.type == "cuda" else "")
        )
    if precision == "fp16" and device.type != "cuda":
        raise ValueError(f"--precision is fp16, which {device} lacks; expected bf16 or fp32")
    return {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Return a context in which operations run in `dtype` where that is safe."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)


def require_compiler() -> None:
    """Check that torch.compile finds the C++ compiler that it needs.

    Raises:
        ValueError: If there is none.
    """
    names = [os.environ["CXX"]] if "CXX" in os.environ else ["g++", "clang++"]
    if not any(shutil.which(name) for name in names):
        raise ValueError(
            f"--compile found no {' or '.join(names)}; expected a C++ compiler: install one"
            " (apt install g++), or leave --compile out"
        )


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # plain AVX-512 only converts to and from bf16, which is slower than fp32
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
