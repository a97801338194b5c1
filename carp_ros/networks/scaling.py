"""Between numbers in SI units and a network's: one scale and one offset a number, kept with it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LEAST_RANGE = 1e-4


class Scaling(nn.Module):
    """Maps each of D numbers linearly; a network carries its own.

    Args:
        size: D.
    """

    scale: Tensor
    offset: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("offset", torch.zeros(size))

    def fit(self, low: Tensor, high: Tensor, kept: Tensor) -> None:
        """Map `low` to -1 and `high` to 1, of shape (D,).

        Args:
            low: Smallest of each number.
            high: Largest of each number. One that hardly changes is centred and not scaled.
            kept: Which numbers stay as they are, bool.
        """
        span = high - low
        still = span < _LEAST_RANGE
        scale = torch.where(still, torch.ones_like(span), 2.0 / span.clamp(min=_LEAST_RANGE))
        offset = torch.where(still, -low, -1.0 - low * scale)
        self.scale.copy_(torch.where(kept, torch.ones_like(scale), scale))
        self.offset.copy_(torch.where(kept, torch.zeros_like(offset), offset))

    def forward(self, numbers: Tensor) -> Tensor:
        """Return numbers (..., D) in SI units as the network takes them."""
        return numbers * self.scale + self.offset

    def inverse(self, numbers: Tensor) -> Tensor:
        """Return the network's numbers (..., D) in SI units."""
        return (numbers - self.offset) / self.scale
