"""Linear scaling between SI units and a network's numbers, stored with the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST_RANGE = 1e-4
"""Smallest range of a number that varies, in its unit: 0.1 mm is below any arm's accuracy."""


def is_nearly_constant(low: Tensor, high: Tensor) -> Tensor:
    """Return which numbers are practically constant, given their minimum and maximum."""
    return high - low < LEAST_RANGE


class Scaling(nn.Module):
    """Maps each of D numbers linearly; saved with the network.

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
        """Map `low` to -1 and `high` to 1, of shape (D,), for the network's inputs.

        Args:
            low: Minimum of each number.
            high: Maximum of each number. A practically constant number is centred but not scaled,
                so that the network can later be given another value.
            kept: Which numbers are left as they are, bool.
        """
        span = high - low
        still = is_nearly_constant(low, high)
        scale = torch.where(still, torch.ones_like(span), 2.0 / span.clamp(min=LEAST_RANGE))
        offset = torch.where(still, -low, -1.0 - low * scale)
        self.scale.copy_(torch.where(kept, torch.ones_like(scale), scale))
        self.offset.copy_(torch.where(kept, torch.zeros_like(offset), offset))

    def fit_outputs(self, low: Tensor, high: Tensor, kept: Tensor) -> None:
        """Map `low` to -1 and `high` to 1, of shape (D,), for the network's outputs.

        A practically constant number is given a range of 0.0001, whether it is in `kept` or not, so
        that even a large error of the network leaves its value unchanged.

        Args:
            low: Minimum of each number.
            high: Maximum of each number.
            kept: Which of the varying numbers are left as they are, bool.
        """
        kept = kept & ~is_nearly_constant(low, high)
        scale = 2.0 / (high - low).clamp(min=LEAST_RANGE)
        offset = -1.0 - low * scale
        self.scale.copy_(torch.where(kept, torch.ones_like(scale), scale))
        self.offset.copy_(torch.where(kept, torch.zeros_like(offset), offset))

    def forward(self, numbers: Tensor) -> Tensor:
        """Return numbers (..., D) in SI units in the network's scaling."""
        return numbers * self.scale + self.offset

    def inverse(self, numbers: Tensor) -> Tensor:
        """Return the network's numbers (..., D) in SI units."""
        return (numbers - self.offset) / self.scale
