"""A slow average of a network's weights, which is what gets deployed unless asked otherwise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_POWER, _MOST = 0.75, 0.9999


def ema_decay(step: int) -> float:
    """Return how much of the average stays at an optimiser step, counted from 1.

    0 at first, rising to 0.9999: `1 - (1 + t)^-0.75` with t = step - 1, as diffusion policies and
    CARP's published code have it.
    """
    age = max(step - 1, 0)
    return min(max(1.0 - (1.0 + age) ** -_POWER, 0.0), _MOST)


class Ema:
    """Keeps the average of a network's parameters.

    Args:
        network: The network that is trained; buffers are taken as they are.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self.average = {name: value.detach().clone() for name, value in _weights(network).items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after an optimiser step, counted from 1."""
        weights = _weights(self._network)
        averages = [self.average[name] for name in weights]
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            averages, list(weights.values()), 1.0 - ema_decay(step)
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network's state with the averaged weights."""
        return {**self._network.state_dict(), **self.average}

    def load(self, average: dict[str, Tensor]) -> None:
        """Go on from an earlier average."""
        for name, value in self.average.items():
            value.copy_(average[name])


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in network.named_parameters() if value.requires_grad}
