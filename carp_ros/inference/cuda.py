"""Memory and one stream of an NVIDIA GPU, by the CUDA runtime."""

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
    """Refuse a machine without an NVIDIA GPU, at next to no cost: only its driver is asked.

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
    """The first GPU, and a stream on which all of a policy's work is done in order.

    Raises:
        DeviceError: If there is no GPU, or what speaks to it is not installed.
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
        """The GPU's compute capability, as `8.6`."""
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
        """Return memory for a tensor, zeros at first."""
        return CudaBuffer(self, spec)

    def copy(self, to: int, source: int, size: int, *, into_gpu: bool) -> None:
        """Let the stream copy bytes between pinned memory and the GPU's."""
        kinds = self._api.cudaMemcpyKind
        kind = kinds.cudaMemcpyHostToDevice if into_gpu else kinds.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", to, source, size, kind, self.stream)

    def recorded(self, give: Callable[[], None]) -> Callable[[], None]:
        """Return what gives the stream, by one call, all that a function gives it.

        Args:
            give: Is called twice: once in earnest, as libraries take memory and choose kernels the
                first time, and once to record.
        """
        give()
        self.wait()
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.call("cudaStreamBeginCapture", self.stream, mode)
        try:
            give()
        finally:  # a stream that records does nothing else
            graph = self.call("cudaStreamEndCapture", self.stream)
        executable = self.call("cudaGraphInstantiate", graph, 0)
        return partial(self.call, "cudaGraphLaunch", executable, self.stream)

    def wait(self) -> None:
        """Wait until the stream has done all that it was given."""
        self.call("cudaStreamSynchronize", self.stream)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the CUDA runtime and return what it gives, if anything.

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
    """A tensor on the GPU, with pinned memory to pass it on; a `session.Buffer`."""

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
        """Copy an array of `spec` into it."""
        np.copyto(self._array, array)
        self._cuda.copy(self.address, self._pinned, self._size, into_gpu=True)

    def read(self) -> Tensor:
        """Return what lies in it, valid until the next run that writes there."""
        self._cuda.copy(self._pinned, self.address, self._size, into_gpu=False)
        self._cuda.wait()
        return self._array
