"""Computes a batch's gradients, on a GPU by replaying one CUDA graph.

A step of a small network is about a thousand short kernels, and launching them one by one takes
several times as long as running them. A graph launches them all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

Inputs = Mapping[str, Tensor]
"""Inputs of a step, by name, on the device; with the same names and shapes at every step."""

Compute = Callable[[Inputs], dict[str, Tensor]]

_WARM_UP = 3


class CudaGraphGradients:
    """Captures `compute` as a CUDA graph on the first call, and replays it on every call.

    Args:
        compute: Sets gradients from inputs and returns metrics; must neither synchronise with the
            GPU nor branch on values that are on it.
        network: The network; changes by warm-up runs of `compute` are undone.
        weights: The weights being trained.
    """

    def __init__(self, compute: Compute, network: nn.Module, weights: Sequence[Tensor]) -> None:
        self._compute, self._network, self._weights = compute, network, weights
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: dict[str, Tensor] = {}
        self._figures: dict[str, Tensor] = {}

    def __call__(self, inputs: Inputs) -> dict[str, Tensor]:
        """Set the gradients of a batch; return metrics, which the next call overwrites."""
        if self._graph is None:
            self._graph = self._captured(inputs)
        for name, value in inputs.items():
            self._inputs[name].copy_(value)
        self._graph.replay()
        return self._figures

    def _captured(self, inputs: Inputs) -> torch.cuda.CUDAGraph:
        self._inputs = {name: value.clone() for name, value in inputs.items()}
        before = {name: value.clone() for name, value in self._network.state_dict().items()}
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # warm-up: libraries choose their algorithms before capture
            for _ in range(_WARM_UP):
                self._compute(self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._network.load_state_dict(before)
        for weight in self._weights:
            weight.grad = None  # the graph allocates its own, which stay at their addresses
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            figures = self._compute(self._inputs)
        self._figures = {name: value.detach() for name, value in figures.items()}
        return graph
