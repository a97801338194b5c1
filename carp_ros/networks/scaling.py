"""Linear scaling between SI units and a network's numbers, stored with the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST_RANGE = 1e-4
"""Smallest range of a number that varies, in its unit: 0.1 mm is below any arm's accuracy."""

LEAST_SHARE = 0.04
"""Narrowest range, as a share of the widest, that `widened` leaves as it is."""


def is_nearly_constant(low: Tensor, high: Tensor) -> Tensor:
    """Return which numbers are practically constant, given their minimum and maximum."""
    return high - low < LEAST_RANGE


def widened(low: Tensor, high: Tensor, alike: Tensor) -> tuple[Tensor, Tensor]:
    """Return ranges of which none is far narrower than the widest of its kind.

    A number that varied by a hundredth of what others of the same kind did tells little, but at the
    same scale as theirs it is a good name for an episode, and a network learns demonstrations by
    heart. Numbers that do not vary at all stay as they are.

    Args:
        low: Minimum of each number, of shape (D,).
        high: Maximum of each number.
        alike: Which numbers are of one kind, bool; the others are left as they are.
    """
    span = high - low
    if not alike.any():
        return low, high
    least = LEAST_SHARE * span[alike].max()
    narrow = alike & ~is_nearly_constant(low, high) & (span < least)
    missing = torch.where(narrow, 0.5 * (least - span), torch.zeros_like(span))
    return low - missing, high + missing


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
