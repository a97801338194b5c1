"""Exponential moving average of a network's weights, deployed unless configured otherwise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_POWER, _MOST = 0.75, 0.9999


def ema_decay(step: int) -> float:
    """Return the decay of the average at an optimiser step, counted from 1.

    Rises from 0 to 0.9999: `1 - (1 + t)^-0.75` with t = step - 1, as in Diffusion Policy and CARP's
    published code.
    """
    age = max(step - 1, 0)
    return min(max(1.0 - (1.0 + age) ** -_POWER, 0.0), _MOST)


class Ema:
    """Keeps the average of a network's parameters.

    Args:
        network: The network being trained; its buffers are not averaged.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self.average = {name: value.detach().clone() for name, value in _weights(network).items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average after an optimiser step, counted from 1."""
        weights = _weights(self._network)
        averages = [self.average[name] for name in weights]
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
            averages, list(weights.values()), 1.0 - ema_decay(step)
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Return the network's state with the averaged weights."""
        return {**self._network.state_dict(), **self.average}

    def load(self, average: dict[str, Tensor]) -> None:
        """Restore an earlier average."""
        for name, value in self.average.items():
            value.copy_(average[name])


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in network.named_parameters() if value.requires_grad}
