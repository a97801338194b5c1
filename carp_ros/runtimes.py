"""Which runtime a policy is run by, and why."""

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
"""In the order in which `auto` tries them: the fastest, by what is known of them, first.

TensorRT-RTX comes before TensorRT, whose engines take longer to build than anyone would wait for
unasked.
"""


@dataclass(frozen=True)
class Choice:
    """A runtime that was chosen.

    Attributes:
        name: Which.
        runtime: It.
        against: Why not those that are faster; empty if it was asked for by name.
    """

    name: RuntimeName
    runtime: Runtime
    against: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say it on one line."""
        return self.name + (f" ({'; '.join(self.against)})" if self.against else "")


def choose_runtime(name: str = AUTO, threads: int = 1) -> Choice:
    """Return the runtime of a name, or the fastest that this machine has.

    Args:
        name: One of `RUNTIMES`, or `auto`.
        threads: How many compute one operator on the CPU.

    Raises:
        ValueError: If it is none of them, or does not run here.
        DeviceError: If it is not installed, or its device is not here.
    """
    makers = _makers(threads)
    for known in RUNTIMES:
        if name == known:
            return Choice(known, makers[known]())
    if name != AUTO:
        raise ValueError(f"runtime is {name!r}; expected {AUTO}, {', '.join(RUNTIMES)}")
    against: list[str] = []
    for known in RUNTIMES:
        try:
            return Choice(known, makers[known](), tuple(against))
        except (DeviceError, ValueError) as error:
            against.append(f"not {known}: {error}")
    raise DeviceError(f"no runtime is here: {'; '.join(against)}")


def _makers(threads: int) -> dict[RuntimeName, Callable[[], Runtime]]:
    return {
        "rtx": TensorRtRuntime,
        "tensorrt": lambda: TensorRtRuntime("tensorrt"),
        "torch": _torch,
        "cuda": lambda: OnnxRuntime(("CUDAExecutionProvider", *CPU), threads),
        "cpu": lambda: OnnxRuntime(CPU, threads),
    }


def _torch() -> Runtime:
    require_gpu()  # importing torch takes seconds; a robot without a GPU never does
    try:
        from carp_ros.export.torch_runtime import TorchRuntime
    except ImportError as error:
        raise DeviceError(
            f"torch is not installed ({error}): pip install torch, as its site says for your CUDA,"
            " and 'carp_ros[train]'"
        ) from error
    return TorchRuntime()
