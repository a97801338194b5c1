"""Runs graphs in ONNX Runtime, on the CPU or an NVIDIA GPU."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import Tensor
from carp_ros.inference.session import Buffer, Run, TensorSpec

CPU = ("CPUExecutionProvider",)
_ON_GPU = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
_MOST_NUMBERS = 100_000_000  # of one tensor; a 4096 x 4096 camera image has half as many
_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}


class OnnxRuntime:
    """ONNX Runtime with some of its execution providers; a `session.Runtime`.

    Args:
        providers: In order of preference, under ONNX Runtime's names.
        threads: Threads per operator. They sleep between operators instead of spinning, which costs
            microseconds and leaves the robot's cores to other work.

    Raises:
        ValueError: If a provider is not available.
        DeviceError: If ONNX Runtime is not installed.
    """

    def __init__(self, providers: Sequence[str] = CPU, threads: int = 1) -> None:
        try:
            import onnxruntime  # only needed to run graphs
        except ImportError as error:
            raise DeviceError(
                "ONNX Runtime, which runs the graphs of bundles, is not installed: pip install"
                " onnxruntime (onnxruntime-gpu for CUDA)"
            ) from error
        known = onnxruntime.get_available_providers()
        missing = [provider for provider in providers if provider not in known]
        if missing:
            raise ValueError(
                f"this ONNX Runtime lacks {', '.join(missing)}; it has {', '.join(known)}: choose"
                " one of those, or install the onnxruntime that has it"
            )
        self._ort = onnxruntime
        self._providers = list(providers)
        self._device = "cuda" if self._providers[0] in _ON_GPU else "cpu"
        if self._device == "cuda":
            onnxruntime.preload_dlls()  # CUDA and cuDNN, if installed by pip
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        self._options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._options.log_severity_level = 3  # errors; its warnings are about its own optimiser

    def session(self, path: Path) -> OnnxSession:
        """Load a graph.

        Raises:
            ValueError: If the runtime can't load the file, or its shapes are not static.
        """
        make = self._ort.InferenceSession
        try:
            session = make(path, self._options, providers=self._providers)
        # ONNX Runtime's own exceptions have no common base
        except Exception as error:
            raise ValueError(f"ONNX Runtime can't load {path}: {error}; export again") from error
        if session.get_providers()[0] != self._providers[0]:  # otherwise only a warning
            raise DeviceError(
                f"ONNX Runtime has {self._providers[0]}, but it does not start; see that nvidia-smi"
                " works and that its CUDA and cuDNN are installed, or choose another runtime"
            )
        return OnnxSession(path.name, session)

    def buffer(self, spec: TensorSpec) -> OnnxBuffer:
        """Allocate memory for a tensor, initially zeros."""
        zeros = np.zeros(spec.shape, spec.dtype)
        make = self._ort.OrtValue.ortvalue_from_numpy
        if self._device == "cpu":
            return OnnxBuffer(spec, make(zeros), zeros)
        return OnnxBuffer(spec, make(zeros, self._device, 0), None)


class OnnxBuffer:
    """A tensor of ONNX Runtime; a `session.Buffer`.

    Args:
        spec: Its shape and type.
        value: The OrtValue.
        array: The same memory as a NumPy array; None if it is on the GPU.
    """

    def __init__(self, spec: TensorSpec, value: Any, array: Tensor | None) -> None:
        self.spec, self.value, self._array = spec, value, array

    def write(self, array: Tensor) -> None:
        """Copy an array of `spec` into the buffer."""
        if self._array is None:
            self.value.update_inplace(np.ascontiguousarray(array))
        else:
            np.copyto(self._array, array)

    def read(self) -> Tensor:
        """Return the content, valid until the next run that writes to it."""
        return np.asarray(self.value.numpy()) if self._array is None else self._array


class OnnxSession:
    """A graph in ONNX Runtime; a `session.Session`."""

    def __init__(self, name: str, session: Any) -> None:
        self._name, self._session = name, session
        self.inputs = {x.name: self._spec(x) for x in session.get_inputs()}
        self.outputs = {x.name: self._spec(x) for x in session.get_outputs()}

    def bind(self, buffers: Mapping[str, Buffer]) -> Run:
        """Return a function that runs the graph on these buffers.

        Args:
            buffers: Of `OnnxRuntime`, by the name of each input and output.
        """
        return _BoundRun(self._name, self._session, self.inputs, self.outputs, buffers)

    def _spec(self, tensor: Any) -> TensorSpec:
        shape = tuple(tensor.shape)
        if not all(isinstance(size, int) for size in shape):
            raise ValueError(
                f"{self._name}: {tensor.name} has shape {shape}; expected fixed sizes: export again"
            )
        if math.prod(shape) > _MOST_NUMBERS:
            raise ValueError(
                f"{self._name}: {tensor.name} has shape {shape}; expected at most"
                f" {_MOST_NUMBERS} numbers: export again"
            )
        if tensor.type not in _DTYPES:
            raise ValueError(
                f"{self._name}: {tensor.name} is {tensor.type}; expected {', '.join(_DTYPES)}"
            )
        return TensorSpec(shape, np.dtype(_DTYPES[tensor.type]))


class _BoundRun:
    """A graph bound to buffers; keeps them alive, as the binding only has pointers to them."""

    def __init__(
        self,
        name: str,
        session: Any,
        inputs: Iterable[str],
        outputs: Iterable[str],
        buffers: Mapping[str, Buffer],
    ) -> None:
        self._name, self._session = name, session
        self._binding = session.io_binding()
        self._held: list[OnnxBuffer] = []
        for names, bind in (
            (inputs, self._binding.bind_ortvalue_input),
            (outputs, self._binding.bind_ortvalue_output),
        ):
            for tensor in names:
                buffer = buffers[tensor]
                assert isinstance(buffer, OnnxBuffer), "a buffer of another runtime"
                bind(tensor, buffer.value)
                self._held.append(buffer)

    def __call__(self) -> None:
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:  # ONNX Runtime's own exceptions have no common base
            raise DeviceError(f"{self._name} can't be run: {error}") from error
