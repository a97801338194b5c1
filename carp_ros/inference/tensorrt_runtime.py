"""Runs engines of TensorRT-RTX or TensorRT on this machine's GPU.

Engines missing from the cache are built when a graph is loaded, which is when a policy is
configured; TensorRT-RTX takes under half a second each. A pass is some hundred kernels of
microseconds, so each graph is launched as one CUDA graph: TensorRT-RTX captures it by itself, for
TensorRT it is done here. This has only run against a fake of CUDA, never on a GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.inference.cuda import Cuda, CudaBuffer
from carp_ros.inference.engine_file import engines_folder, read_engine, write_engine
from carp_ros.inference.session import Buffer, Run, TensorSpec
from carp_ros.inference.tensorrt_build import EngineBuilder, EnginePrecision, Library


class TensorRtRuntime:
    """TensorRT-RTX or TensorRT; a `session.Runtime`.

    Args:
        library: Which of them.
        precision: Of products with weights.
        engines: Folder for reading and storing engines; None for the user's cache.

    Raises:
        DeviceError: If the library is not installed, or there is no GPU.
        ValueError: If the library does not support this GPU.
    """

    def __init__(
        self,
        library: Library = "tensorrt_rtx",
        precision: EnginePrecision = "half",
        engines: Path | None = None,
    ) -> None:
        self._cuda = Cuda()
        self._builder = EngineBuilder(self._cuda.capability, precision, library)
        self._runtime = self._builder.trt.Runtime(self._builder.logger)
        self._engines = engines or engines_folder()

    def session(self, path: Path) -> TensorRtSession:
        """Load a graph; compile it first if its engine is not in the cache.

        Raises:
            ValueError: If the graph can't be compiled, or its engine in the cache is invalid.
        """
        key = self._builder.key(path)
        file = self._engines / key.file_name
        if not file.is_file():
            write_engine(self._engines, key, self._builder.build(path).content)
        engine = self._runtime.deserialize_cuda_engine(read_engine(file, key))
        if engine is None:
            raise ValueError(f"{file} can't be loaded: {self._builder.complaint}; delete it")
        return TensorRtSession(path.name, engine, self._builder.trt, self._cuda)

    def buffer(self, spec: TensorSpec) -> CudaBuffer:
        """Allocate memory for a tensor, initially zeros."""
        return self._cuda.buffer(spec)


class TensorRtSession:
    """A graph in TensorRT; a `session.Session`."""

    def __init__(self, name: str, engine: Any, trt: Any, cuda: Cuda) -> None:
        self._name, self._engine, self._trt, self._cuda = name, engine, trt, cuda
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        specs = {tensor: self._spec(tensor) for tensor in names}
        into = trt.TensorIOMode.INPUT
        self.inputs = {n: s for n, s in specs.items() if engine.get_tensor_mode(n) == into}
        self.outputs = {n: s for n, s in specs.items() if n not in self.inputs}

    def bind(self, buffers: Mapping[str, Buffer]) -> Run:
        """Return a function that runs the graph on these buffers and waits until the GPU is done.

        Args:
            buffers: Of `TensorRtRuntime`, by the name of each input and output.
        """
        context = self._context()
        held: list[CudaBuffer] = []
        for tensor in (*self.inputs, *self.outputs):
            buffer = buffers[tensor]
            assert isinstance(buffer, CudaBuffer), "a buffer of another runtime"
            context.set_tensor_address(tensor, buffer.address)
            held.append(buffer)
        return _BoundRun(self._name, context, self._cuda, held, record=not self._records_itself)

    @property
    def _records_itself(self) -> bool:
        return hasattr(self._trt, "CudaGraphStrategy")

    def _context(self) -> Any:
        if not self._records_itself:
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        return self._engine.create_execution_context(config)

    def _spec(self, tensor: str) -> TensorSpec:
        dtype = self._trt.nptype(self._engine.get_tensor_dtype(tensor))
        return TensorSpec(tuple(self._engine.get_tensor_shape(tensor)), np.dtype(dtype))


class _BoundRun:
    """A graph bound to buffers; keeps them alive, as TensorRT only has pointers to them."""

    def __init__(
        self, name: str, context: Any, cuda: Cuda, held: list[CudaBuffer], *, record: bool
    ) -> None:
        self._name, self._context, self._cuda, self._held = name, context, cuda, held
        self._give = cuda.recorded(self._enqueue) if record else self._enqueue

    def __call__(self) -> None:
        self._give()
        self._cuda.wait()

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(int(self._cuda.stream)):
            raise DeviceError(f"{self._name} can't be run; see that nvidia-smi works")
