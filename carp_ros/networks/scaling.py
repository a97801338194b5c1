"""Between numbers in SI units and a network's: one scale and one offset a number, kept with it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST_RANGE = 1e-4
"""Of a number that changes, in its unit: a tenth of a millimetre is less than any arm can do."""


def hardly_changes(low: Tensor, high: Tensor) -> Tensor:
    """Return of which numbers smallest and largest are as good as the same."""
    return high - low < LEAST_RANGE


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
        """Map `low` to -1 and `high` to 1, of shape (D,): numbers that a network is given.

        Args:
            low: Smallest of each number.
            high: Largest of each number. One that hardly changes is centred and not scaled, so that
                the network can be given another value one day.
            kept: Which numbers stay as they are, bool.
        """
        span = high - low
        still = hardly_changes(low, high)
        scale = torch.where(still, torch.ones_like(span), 2.0 / span.clamp(min=LEAST_RANGE))
        offset = torch.where(still, -low, -1.0 - low * scale)
        self.scale.copy_(torch.where(kept, torch.ones_like(scale), scale))
        self.offset.copy_(torch.where(kept, torch.zeros_like(offset), offset))

    def fit_outputs(self, low: Tensor, high: Tensor, kept: Tensor) -> None:
        """Map `low` to -1 and `high` to 1, of shape (D,): numbers that a network is to say.

        One that hardly changes is taken to have a range of 0.0001, whether it is kept or not: as
        far as the network may miss it, it comes back as what it was.

        Args:
            low: Smallest of each number.
            high: Largest of each number.
            kept: Which of those that change stay as they are, bool.
        """
        kept = kept & ~hardly_changes(low, high)
        scale = 2.0 / (high - low).clamp(min=LEAST_RANGE)
        offset = -1.0 - low * scale
        self.scale.copy_(torch.where(kept, torch.ones_like(scale), scale))
        self.offset.copy_(torch.where(kept, torch.zeros_like(offset), offset))

    def forward(self, numbers: Tensor) -> Tensor:
        """Return numbers (..., D) in SI units as the network takes them."""
        return numbers * self.scale + self.offset

    def inverse(self, numbers: Tensor) -> Tensor:
        """Return the network's numbers (..., D) in SI units."""
        return (numbers - self.offset) / self.scale
