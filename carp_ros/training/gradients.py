"""A batch's gradients: computed operation by operation, or on a GPU replayed as one CUDA graph.

A step of a small network is a thousand short kernels, and launching them takes several times as
long as computing them. A graph launches them all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

Inputs = Mapping[str, Tensor]
"""Of a step, by name, on the device; of the same names and shapes at each step."""

Compute = Callable[[Inputs], dict[str, Tensor]]

_WARM_UP = 3


class GraphedGradients:
    """Does what `compute` does, as one graph from the second call on.

    Args:
        compute: Sets gradients from inputs and returns figures; it must neither wait for the GPU
            nor decide anything by what is on it.
        network: Of the weights; what `compute` changes of it to warm up is undone.
        weights: Those that are trained.
    """

    def __init__(self, compute: Compute, network: nn.Module, weights: Sequence[Tensor]) -> None:
        self._compute, self._network, self._weights = compute, network, weights
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: dict[str, Tensor] = {}
        self._figures: dict[str, Tensor] = {}

    def __call__(self, inputs: Inputs) -> dict[str, Tensor]:
        """Set the gradients of a batch; return figures, which the next call overwrites."""
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
        with torch.cuda.stream(aside):  # libraries choose their algorithms, outside of the graph
            for _ in range(_WARM_UP):
                self._compute(self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._network.load_state_dict(before)
        for weight in self._weights:
            weight.grad = None  # those that the graph makes have their memory for good
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            figures = self._compute(self._inputs)
        self._figures = {name: value.detach() for name, value in figures.items()}
        return graph
