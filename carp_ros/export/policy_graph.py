"""One graph of a policy, with an example of what it computes.

What writes graphs down (`export.bundle`) and what runs them as they are (`export.torch_runtime`) go
by the same names.
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
        module: Computes it; arguments are positional, in the order of `inputs`.
        inputs: An example, by name.
        outputs: What the module makes of it, by name and in its order.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


def computed(
    name: str, module: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str]
) -> PolicyGraph:
    """Return a graph with what it makes of its inputs."""
    found = module.eval()(*inputs.values())
    found = found if isinstance(found, tuple) else (found,)
    return PolicyGraph(name, module, inputs, dict(zip(outputs, found)))
