"""Chooses the runtime that computes a policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from carp_ros.errors import DeviceError
from carp_ros.inference.cuda import require_gpu
from carp_ros.inference.onnx_runtime import CPU, OnnxRuntime
from carp_ros.inference.session import Runtime
from carp_ros.inference.tensorrt_runtime import TensorRtRuntime

RuntimeName = Literal["rtx", "tensorrt", "torch", "cuda", "cpu"]
"""`rtx`: TensorRT-RTX. `tensorrt`: TensorRT. `torch`: torch, recorded as CUDA graphs. `cuda`: ONNX
Runtime on a GPU. `cpu`: ONNX Runtime on the CPU."""

AUTO = "auto"
RUNTIMES: tuple[RuntimeName, ...] = get_args(RuntimeName)
"""In the order in which `auto` tries them, presumably from fastest to slowest.

TensorRT-RTX comes before TensorRT, whose engines take too long to build to be a default.
"""


@dataclass(frozen=True)
class ChosenRuntime:
    """A chosen runtime.

    Attributes:
        name: Name of the runtime.
        runtime: The runtime itself.
        rejected: Why faster ones were not chosen; empty if it was requested by name.
    """

    name: RuntimeName
    runtime: Runtime
    rejected: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it in one line."""
        return self.name + (f" ({'; '.join(self.rejected)})" if self.rejected else "")


def choose_runtime(name: str = AUTO, threads: int = 1) -> ChosenRuntime:
    """Return the named runtime, or the fastest available on this machine.

    Args:
        name: One of `RUNTIMES`, or `auto`.
        threads: Threads per operator on the CPU.

    Raises:
        ValueError: If the name is unknown, or the runtime does not work on this machine.
        DeviceError: If it is not installed, or its device is missing.
    """
    makers = _makers(threads)
    for known in RUNTIMES:
        if name == known:
            return ChosenRuntime(known, makers[known]())
    if name != AUTO:
        raise ValueError(f"runtime is {name!r}; expected {AUTO}, {', '.join(RUNTIMES)}")
    against: list[str] = []
    for known in RUNTIMES:
        try:
            return ChosenRuntime(known, makers[known](), tuple(against))
        except (DeviceError, ValueError) as error:
            against.append(f"not {known}: {error}")
    raise DeviceError(f"no runtime is available: {'; '.join(against)}")


def _makers(threads: int) -> dict[RuntimeName, Callable[[], Runtime]]:
    return {
        "rtx": TensorRtRuntime,
        "tensorrt": lambda: TensorRtRuntime("tensorrt"),
        "torch": _torch,
        "cuda": lambda: OnnxRuntime(("CUDAExecutionProvider", *CPU), threads),
        "cpu": lambda: OnnxRuntime(CPU, threads),
    }


def _torch() -> Runtime:
    require_gpu()  # first, because importing torch takes seconds, in vain without a GPU
    try:
        from carp_ros.export.torch_runtime import TorchRuntime
    except ImportError as error:
        raise DeviceError(
            f"torch is not installed ({error}): pip install the torch for your CUDA version, as its"
            " site says, and 'carp_ros[train]'"
        ) from error
    return TorchRuntime()
