"""One graph of a policy, with example inputs and outputs.

Used both for writing graphs (`export.bundle`) and for running them directly in torch
(`export.torch_runtime`), under the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class PolicyGraph:
    """A graph of a policy.

    Attributes:
        name: As in the manifest.
        module: Takes positional arguments in the order of `inputs`.
        inputs: Example inputs, by name.
        outputs: The module's outputs for `inputs`, by name and in order.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


def computed(
    name: str, module: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str]
) -> PolicyGraph:
    """Return a graph with its outputs for the given inputs."""
    found = module.eval()(*inputs.values())
    found = found if isinstance(found, tuple) else (found,)
    return PolicyGraph(name, module, inputs, dict(zip(outputs, found)))
