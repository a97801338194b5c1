"""Runs a bundle's graphs in torch, captured as CUDA graphs.

For GPUs that TensorRT-RTX does not support, where torch is installed anyway: it runs the trained
network itself, in float32 whatever the graphs' precision. On the CPU it computes the same without
CUDA graphs; that is what the tests cover. It has never run on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from carp_ros.errors import DeviceError
from carp_ros.export.families import EXPORTS
from carp_ros.export.policy_graph import PolicyGraph
from carp_ros.inference.bundle import Tensor, load_bundle
from carp_ros.inference.session import Buffer, Run, TensorSpec
from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.training.build import load_network
from carp_ros.training.families import family_named

_WARM_UP = 3  # as torch advises before a capture: libraries choose kernels and allocate memory


class TorchRuntime:
    """torch on a GPU; a `session.Runtime`.

    Args:
        device: torch's name of it; on `cpu` there is no CUDA graph.

    Raises:
        DeviceError: If torch finds no such device.
    """

    def __init__(self, device: Literal["cuda", "cpu"] = "cuda") -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError(
                f"torch {torch.__version__} finds no GPU; install the torch of your CUDA, and see"
                " that nvidia-smi works, or choose another runtime"
            )
        self._device = torch.device(device)
        self._graphs: dict[Path, dict[str, PolicyGraph]] = {}

    def session(self, path: Path) -> TorchSession:
        """Load a graph of a bundle.

        Raises:
            ValueError: If the bundle lacks this graph, or its network.
        """
        folder = path.parent
        if folder not in self._graphs:
            self._graphs[folder] = self._load(folder)
        graphs = self._graphs[folder]
        if path.stem not in graphs:
            raise ValueError(f"{folder} has no graph {path.stem}; it has {', '.join(graphs)}")
        return TorchSession(graphs[path.stem], self._device)

    def buffer(self, spec: TensorSpec) -> TorchBuffer:
        """Allocate memory for a tensor, initially zeros."""
        return TorchBuffer(spec, self._device)

    def _load(self, folder: Path) -> dict[str, PolicyGraph]:
        bundle = load_bundle(folder)
        if bundle.manifest.network is None:
            raise ValueError(
                f"{folder} lacks the network of its graphs; choose another runtime, or"
                " export the training again"
            )
        network, config, _ = load_network(folder)
        recipe = family_named(config.policy, str(folder)).recipe(config.recipe, str(folder))
        golden = bundle.golden()
        example = {
            name: torch.from_numpy(golden[name]).to(self._device) for name in bundle.input_names
        }
        network = network.to(self._device).eval()
        encoder = recipe.image_encoder or ImageEncoderConfig()
        graphs = EXPORTS[config.policy].graphs(network, encoder, example)
        return {graph.name: graph for graph in graphs}


class TorchBuffer:
    """A tensor of torch; a `session.Buffer`."""

    def __init__(self, spec: TensorSpec, device: torch.device) -> None:
        self.spec = spec
        zeros = torch.from_numpy(np.zeros(spec.shape, spec.dtype))
        self.tensor = zeros.to(device)
        # on the CPU the same memory; for a GPU pinned memory, for copies in both directions
        self._here = self.tensor if device.type == "cpu" else zeros.pin_memory()
        self._array: Tensor = self._here.numpy()

    def write(self, array: Tensor) -> None:
        """Copy an array of `spec` into the buffer."""
        np.copyto(self._array, array)
        if self._here is not self.tensor:
            self.tensor.copy_(self._here)

    def read(self) -> Tensor:
        """Return the content, valid until the next run that writes to it."""
        if self._here is not self.tensor:
            self._here.copy_(self.tensor)
        return self._array


class TorchSession:
    """A graph in torch; a `session.Session`."""

    def __init__(self, graph: PolicyGraph, device: torch.device) -> None:
        self._graph, self._device = graph, device
        self.inputs = {name: _spec(x) for name, x in graph.inputs.items()}
        self.outputs = {name: _spec(x) for name, x in graph.outputs.items()}

    def bind(self, buffers: Mapping[str, Buffer]) -> Run:
        """Return a function that runs the graph on buffers and waits until the GPU is done.

        Args:
            buffers: Of `TorchRuntime`, by the name of each input and output.
        """
        inputs, outputs = (
            tuple(_tensor_of(buffers[name]) for name in names)
            for names in (self.inputs, self.outputs)
        )
        compute = _computing(self._graph.module, inputs, outputs)
        return _Run(self._graph.name, compute, record=self._device.type == "cuda")


class _Run:
    """Runs a bound graph and waits for it."""

    def __init__(self, name: str, compute: Callable[[], None], *, record: bool) -> None:
        self._name = name
        self._compute = compute  # keeps the memory alive that a CUDA graph only points to
        self._again = _recorded(compute) if record else compute

    def __call__(self) -> None:
        try:
            self._again()
        except RuntimeError as error:
            raise DeviceError(f"{self._name} can't be run: {error}") from error


def _computing(
    module: nn.Module, inputs: tuple[torch.Tensor, ...], outputs: tuple[torch.Tensor, ...]
) -> Callable[[], None]:
    @torch.inference_mode()
    def compute() -> None:
        found = module(*inputs)
        for buffer, value in zip(outputs, found if isinstance(found, tuple) else (found,)):
            buffer.copy_(value)

    return compute


def _recorded(compute: Callable[[], None]) -> Callable[[], None]:
    """Capture a computation as a CUDA graph; return a function that replays it and waits."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP):
            compute()
    torch.cuda.current_stream().wait_stream(aside)
    recording = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recording):
        compute()

    def replay() -> None:
        recording.replay()
        torch.cuda.synchronize()

    return replay


def _tensor_of(buffer: Buffer) -> torch.Tensor:
    assert isinstance(buffer, TorchBuffer), "a buffer of another runtime"
    return buffer.tensor


def _spec(tensor: torch.Tensor) -> TensorSpec:
    return TensorSpec(tuple(tensor.shape), tensor.cpu().numpy().dtype)
