"""Memory and one stream of an NVIDIA GPU, via the CUDA runtime."""

from __future__ import annotations

import ctypes
import importlib
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import Tensor
from carp_ros.inference.session import TensorSpec

_DRIVER = "libcuda.so.1"


def require_gpu() -> None:
    """Raise if there is no NVIDIA GPU; cheap, as it only queries the driver.

    Raises:
        DeviceError: If there is none.
    """
    count = ctypes.c_int(0)
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError as error:
        raise DeviceError(
            f"no NVIDIA GPU, or no driver of it ({error}); where there is one, install its driver"
            " until nvidia-smi lists it"
        ) from error
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        raise DeviceError("NVIDIA's driver is here, but finds no GPU; see what nvidia-smi says")


class Cuda:
    """The first GPU, with one stream that runs all of a policy's work in order.

    Raises:
        DeviceError: If there is no GPU, or its Python bindings are not installed.
    """

    def __init__(self) -> None:
        try:
            self._api = importlib.import_module("cuda.bindings.runtime")
        except ImportError as error:
            raise DeviceError(
                "cuda-bindings, which speaks to the GPU, is not installed: pip install"
                " 'carp_ros[rtx]'"
            ) from error
        error, _ = self._api.cudaGetDeviceCount()
        if error != self._api.cudaError_t.cudaSuccess:
            raise DeviceError(
                f"CUDA finds no NVIDIA GPU ({error.name}); where there is one, install its driver"
                " until nvidia-smi lists it"
            )
        self.stream = self.call("cudaStreamCreate")

    @property
    def capability(self) -> str:
        """The GPU's compute capability, such as `8.6`."""
        of = self._api.cudaDeviceAttr
        major, minor = (
            self.call("cudaDeviceGetAttribute", attribute, 0)
            for attribute in (
                of.cudaDevAttrComputeCapabilityMajor,
                of.cudaDevAttrComputeCapabilityMinor,
            )
        )
        return f"{major}.{minor}"

    def buffer(self, spec: TensorSpec) -> CudaBuffer:
        """Allocate memory for a tensor, initially zeros."""
        return CudaBuffer(self, spec)

    def copy(self, to: int, source: int, size: int, *, into_gpu: bool) -> None:
        """Enqueue a copy between pinned memory and the GPU's memory."""
        kinds = self._api.cudaMemcpyKind
        kind = kinds.cudaMemcpyHostToDevice if into_gpu else kinds.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", to, source, size, kind, self.stream)

    def recorded(self, give: Callable[[], None]) -> Callable[[], None]:
        """Capture the work that a function enqueues as a CUDA graph; return its launch function.

        Args:
            give: Enqueues the work. Called twice: first normally, as libraries allocate memory and
                choose kernels the first time, then for the capture.
        """
        give()
        self.wait()
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.call("cudaStreamBeginCapture", self.stream, mode)
        try:
            give()
        finally:  # a stream in capture mode can do nothing else
            graph = self.call("cudaStreamEndCapture", self.stream)
        executable = self.call("cudaGraphInstantiate", graph, 0)
        return partial(self.call, "cudaGraphLaunch", executable, self.stream)

    def wait(self) -> None:
        """Block until the stream has finished all its work."""
        self.call("cudaStreamSynchronize", self.stream)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the CUDA runtime and return its result, if any.

        Raises:
            DeviceError: If it fails.
        """
        error, *results = getattr(self._api, name)(*arguments)
        if error != self._api.cudaError_t.cudaSuccess:
            raise DeviceError(
                f"{name} failed: {error.name}; see that nvidia-smi works and that no other program"
                " fills the GPU"
            )
        return results[0] if results else None


class CudaBuffer:
    """A tensor on the GPU with pinned host memory for transfers; a `session.Buffer`."""

    def __init__(self, cuda: Cuda, spec: TensorSpec) -> None:
        self.spec, self._cuda = spec, cuda
        self._size = int(np.prod(spec.shape)) * spec.dtype.itemsize
        self.address: int = cuda.call("cudaMalloc", self._size)
        weakref.finalize(self, cuda.call, "cudaFree", self.address)
        self._pinned: int = cuda.call("cudaMallocHost", self._size)
        weakref.finalize(self, cuda.call, "cudaFreeHost", self._pinned)
        memory = (ctypes.c_byte * self._size).from_address(self._pinned)
        self._array: Tensor = np.ctypeslib.as_array(memory).view(spec.dtype).reshape(spec.shape)
        self.write(np.zeros(spec.shape, spec.dtype))

    def write(self, array: Tensor) -> None:
        """Copy an array of `spec` into the buffer."""
        np.copyto(self._array, array)
        self._cuda.copy(self.address, self._pinned, self._size, into_gpu=True)

    def read(self) -> Tensor:
        """Return the content, valid until the next run that writes to it."""
        self._cuda.copy(self._pinned, self.address, self._size, into_gpu=False)
        self._cuda.wait()
        return self._array
