"""Compiles graphs to engines with TensorRT-RTX or TensorRT.

TensorRT-RTX, NVIDIA's library for workstation GPUs (Turing to Blackwell, but not the data centre's
Hopper), builds a graph in under a second for any of its GPU architectures, on a machine without a
GPU too. TensorRT supports more GPUs, but only builds for the one in the machine, on which it times
the alternatives.
"""

from __future__ import annotations

import hashlib
import importlib
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import WEIGHTS
from carp_ros.inference.engine_file import EngineKey
from carp_ros.inference.half_products import halve_products

EnginePrecision = Literal["half", "single"]
"""`half`: products with weights in float16, everything else in float32. `single`: float32."""

Library = Literal["tensorrt_rtx", "tensorrt"]
"""NVIDIA's module; their interfaces are the same except where handled here."""

_REMEDIES: dict[Library, tuple[str, str]] = {
    "tensorrt_rtx": ("TensorRT-RTX", "pip install 'carp_ros[rtx]'"),
    "tensorrt": ("TensorRT", "pip install tensorrt 'cuda-bindings<13'"),
}
_NO_FLOAT_PRODUCTS = ("7.5",)  # in TensorRT-RTX


@dataclass(frozen=True)
class Engine:
    """A compiled graph.

    Attributes:
        key: What it was built from and for.
        content: The serialised engine.
        build_s: Build time.
        layers: Number of layers by kind and output type; constants and shape layers are left out.
    """

    key: EngineKey
    content: bytes
    build_s: float
    layers: dict[str, dict[str, int]]


class EngineBuilder:
    """Builds engines for one GPU architecture.

    Args:
        capability: Its compute capability, such as `7.5` for an RTX 2060, `8.6` for an RTX 3060 or
            `8.9` for an RTX 4060; with TensorRT that of the GPU in this machine.
        precision: Of the arithmetic.
        library: The library to build with.

    Attributes:
        trt: The library's module.
        logger: TensorRT's logger; see `complaint`.

    Raises:
        DeviceError: If the library is not installed.
        ValueError: If it does not build for this GPU.
    """

    def __init__(
        self,
        capability: str,
        precision: EnginePrecision = "half",
        library: Library = "tensorrt_rtx",
    ) -> None:
        self.trt = _module(library)
        self._library, self._capability, self._precision = library, capability, precision
        self._target = self._known_target() if self._is_rtx else None
        self._log = _Log(self.trt)
        self.logger = self._log.logger

    @property
    def complaint(self) -> str:
        """TensorRT's last error message."""
        return self._log.last

    @property
    def library(self) -> str:
        """The library and its version."""
        return f"{self._library} {self.trt.__version__}"

    def key(self, graph: Path) -> EngineKey:
        """Return the key that an engine of a graph would have."""
        digest = hashlib.sha256(graph.read_bytes())
        weights = graph.with_name(WEIGHTS)
        if weights.is_file():
            digest.update(weights.read_bytes())
        sha256 = digest.hexdigest()
        return EngineKey(graph.stem, sha256, self._capability, self.library, self._precision)

    def build(self, graph: Path) -> Engine:
        """Compile a graph.

        Raises:
            ValueError: If TensorRT can't compile it.
        """
        trt, begin_s = self.trt, time.perf_counter()
        key = self.key(graph)
        builder = trt.Builder(self.logger)
        typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = builder.create_network(typed)
        parser = trt.OnnxParser(network, self.logger)
        if not parser.parse_from_file(str(graph)):
            errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
            raise ValueError(
                f"{self.library} can't read {graph}: {'; '.join(errors)}; export the bundle again:"
                " carp export BUNDLE --out BUNDLE"
            )
        weights = []
        if self._precision == "half":
            every = self._is_rtx and self._capability in _NO_FLOAT_PRODUCTS
            weights = halve_products(trt, network, every=every)
        config = builder.create_builder_config()
        if self._target is not None:
            config.num_compute_capabilities = 1
            config.set_compute_capability(self._target, 0)
        content = builder.build_serialized_network(network, config)
        del weights  # TensorRT had pointers to them until here
        if content is None:
            raise ValueError(
                f"{self.library} can't build {graph}: {self.complaint}; export the bundle again, or"
                " run it in ONNX Runtime"
            )
        return Engine(key, bytes(content), time.perf_counter() - begin_s, _layers(network))

    @property
    def _is_rtx(self) -> bool:
        return self._library == "tensorrt_rtx"

    def _known_target(self) -> Any:
        known = {
            f"{name[2:-1]}.{name[-1]}": value
            for name, value in self.trt.ComputeCapability.__members__.items()
            if name.startswith("SM")
        }
        if self._capability not in known:
            raise ValueError(
                f"compute capability is {self._capability!r}; {self.library} builds for"
                f" {', '.join(known)}: choose one of those, or run the bundle in ONNX Runtime"
            )
        return known[self._capability]


def _layers(network: Any) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        if layer.type.name not in ("CONSTANT", "SHAPE"):
            counts = found.setdefault(layer.type.name.lower(), Counter())
            counts[layer.get_output(0).dtype.name.lower()] += 1
    return {kind: dict(counts) for kind, counts in sorted(found.items())}


class _Log:
    """Keeps TensorRT's last error message for exceptions."""

    def __init__(self, trt: Any) -> None:
        self.last = "no reason given"
        log = self

        class Logger(trt.ILogger):
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, msg: str) -> None:
                if severity <= trt.ILogger.ERROR:
                    log.last = msg

        self.logger = Logger()


def _module(library: Library) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as error:
        name, remedy = _REMEDIES[library]
        raise DeviceError(
            f"{name}, which builds engines for a GPU, is not installed: {remedy}"
        ) from error
