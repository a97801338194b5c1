"""A GPU that isn't one: CUDA's memory and stream, and TensorRT with ONNX Runtime in its engines.

What is given to the stream is done when somebody waits for it and not before, in the order given,
so that who forgets to wait sees what was there before.
"""

import ctypes
import enum
import sys
import types
from collections.abc import Callable

import numpy as np
import onnxruntime
import tensorrt_rtx


class Code(enum.Enum):
    cudaSuccess = 0
    cudaErrorNoDevice = 100


class StandInCuda(types.ModuleType):
    """In place of `cuda.bindings.runtime`."""

    cudaError_t = Code
    cudaDeviceAttr = enum.Enum(
        "cudaDeviceAttr", ["cudaDevAttrComputeCapabilityMajor", "cudaDevAttrComputeCapabilityMinor"]
    )
    cudaMemcpyKind = enum.Enum(
        "cudaMemcpyKind", ["cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"]
    )

    cudaStreamCaptureMode = enum.Enum(
        "cudaStreamCaptureMode", ["cudaStreamCaptureModeGlobal", "cudaStreamCaptureModeThreadLocal"]
    )

    def __init__(self, capability: tuple[int, int] = (8, 6), gpus: int = 1) -> None:
        super().__init__("cuda.bindings.runtime")
        self._capability, self._gpus = capability, gpus
        self.held: dict[str, dict[int, ctypes.Array]] = {"gpu": {}, "pinned": {}}
        self.given: list[Callable[[], object]] = []
        self.before: list[Callable[[], object]] | None = None
        self.graphs: list[list[Callable[[], object]]] = []
        self.allocations = 0

    def cudaGetDeviceCount(self):
        return (Code.cudaSuccess if self._gpus else Code.cudaErrorNoDevice), self._gpus

    def cudaDeviceGetAttribute(self, attribute, device):
        return Code.cudaSuccess, self._capability[attribute.value - 1]

    def cudaStreamCreate(self):
        return Code.cudaSuccess, 7

    def cudaStreamSynchronize(self, stream):
        assert stream == 7
        for work in self.given:
            work()
        self.given.clear()
        return (Code.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream, mode):
        assert stream == 7
        assert self.before is None
        self.before, self.given = self.given, []
        return (Code.cudaSuccess,)

    def cudaStreamEndCapture(self, stream):
        assert stream == 7
        recorded, self.given, self.before = self.given, self.before, None
        return Code.cudaSuccess, recorded

    def cudaGraphInstantiate(self, graph, flags):
        self.graphs.append(graph)
        return Code.cudaSuccess, len(self.graphs) - 1

    def cudaGraphLaunch(self, executable, stream):
        assert stream == 7
        self.given += self.graphs[executable]
        return (Code.cudaSuccess,)

    def cudaMalloc(self, size):
        return self._allocate("gpu", size)

    def cudaMallocHost(self, size):
        return self._allocate("pinned", size)

    def cudaFree(self, address):
        return self._free("gpu", address)

    def cudaFreeHost(self, address):
        return self._free("pinned", address)

    def cudaMemcpyAsync(self, to, source, size, kind, stream):
        assert stream == 7
        places = ("gpu", "pinned")
        into_gpu = kind is self.cudaMemcpyKind.cudaMemcpyHostToDevice
        for address, place in zip((to, source), places if into_gpu else places[::-1]):
            assert size <= len(self.held[place][address]), "beyond what was allocated"
        self.given.append(lambda: ctypes.memmove(to, source, size))
        return (Code.cudaSuccess,)

    def _allocate(self, place, size):
        self.allocations += 1
        memory = ctypes.create_string_buffer(b"\xa5" * size, size)
        self.held[place][ctypes.addressof(memory)] = memory
        return Code.cudaSuccess, ctypes.addressof(memory)

    def _free(self, place, address):
        del self.held[place][address]
        return (Code.cudaSuccess,)


class StandInEngine:
    """An engine whose content is the path of its graph."""

    def __init__(self, cuda: StandInCuda, path: str) -> None:
        self.cuda = cuda
        self.session = onnxruntime.InferenceSession(path)
        self.inputs = {x.name: x for x in self.session.get_inputs()}
        self.outputs = {x.name: x for x in self.session.get_outputs()}
        self._names = [*self.inputs, *self.outputs]
        self.num_io_tensors = len(self._names)

    def get_tensor_name(self, i):
        return self._names[i]

    def get_tensor_mode(self, name):
        mode = tensorrt_rtx.TensorIOMode
        return mode.INPUT if name in self.inputs else mode.OUTPUT

    def get_tensor_shape(self, name):
        return tuple((self.inputs | self.outputs)[name].shape)

    def get_tensor_dtype(self, name):
        kinds = {"float": "float32", "int64": "int64", "uint8": "uint8"}
        kind = (self.inputs | self.outputs)[name].type.removeprefix("tensor(").removesuffix(")")
        return getattr(tensorrt_rtx, kinds[kind])

    def create_runtime_config(self):
        return types.SimpleNamespace()

    def create_execution_context(self, config=None):
        assert (
            config is None
            or config.cuda_graph_strategy == tensorrt_rtx.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        )
        return StandInContext(self)


class StandInContext:
    def __init__(self, engine: StandInEngine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}

    def set_tensor_address(self, name, address):
        assert address in self._engine.cuda.held["gpu"], "no memory of the GPU"
        self._addresses[name] = address

    def execute_async_v3(self, stream):
        assert stream == 7
        assert self._addresses.keys() == (self._engine.inputs | self._engine.outputs).keys()
        self._engine.cuda.given.append(self._compute)
        return True

    def _compute(self):
        engine = self._engine
        found = engine.session.run(None, {name: self._array(name) for name in engine.inputs})
        for name, array in zip(engine.outputs, found):
            self._array(name)[...] = array

    def _array(self, name):
        shape = self._engine.get_tensor_shape(name)
        dtype = np.dtype(tensorrt_rtx.nptype(self._engine.get_tensor_dtype(name)))
        memory = self._engine.cuda.held["gpu"][self._addresses[name]]
        return np.frombuffer(memory, dtype, int(np.prod(shape))).reshape(shape)


def stand_in_tensorrt(cuda: StandInCuda, *, rtx: bool) -> types.ModuleType:
    """Return `tensorrt_rtx`, or what TensorRT has of it, but for what runs engines."""
    module = types.ModuleType("tensorrt_rtx" if rtx else "tensorrt")
    only_rtx = () if rtx else ("CudaGraphStrategy", "ComputeCapability")
    module.__dict__.update({k: v for k, v in vars(tensorrt_rtx).items() if k not in only_rtx})

    class Runtime:
        def __init__(self, logger) -> None: ...

        def deserialize_cuda_engine(self, content):
            return None if content == b"spoilt" else StandInEngine(cuda, content.decode())

    module.Runtime = Runtime
    return module


def install(monkeypatch, **options) -> StandInCuda:
    """Put the stand-ins in place of the real ones."""
    cuda = StandInCuda(**options)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", cuda)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", stand_in_tensorrt(cuda, rtx=True))
    monkeypatch.setitem(sys.modules, "tensorrt", stand_in_tensorrt(cuda, rtx=False))
    return cuda
