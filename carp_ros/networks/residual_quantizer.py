"""FASTer's residual vector quantizer (arXiv:2512.04952): each level quantizes what is left over.

Codes are moving averages of the vectors assigned to them, so they have no gradient; see
`codebook_upkeep`. `vector-quantize-pytorch` (1.32) replaces a code whose moving average of hits per
batch is below a fixed number, by default 2, and so most codes, where a batch has no more vectors
than there are codes. Here a code is dead by its share of uniform use.

Shapes: N_c levels, K codes, d code width; any number of leading axes.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualCodes(NamedTuple):
    """A quantized latent."""

    codes: Tensor
    """Int64, of shape (..., N_c)."""
    residuals: Tensor
    """What each level quantized, of shape (..., N_c, d)."""
    quantized: Tensor
    """The sum of the codes of all levels, of shape (..., d)."""


class ResidualQuantizer(nn.Module):
    """Turns vectors into codes and back, in single precision whatever the autocast.

    Args:
        levels: N_c.
        codes: K, of each level.
        width: d.
    """

    def __init__(self, levels: int, codes: int, width: int) -> None:
        super().__init__()
        self.codebook = nn.Parameter(torch.randn(levels, codes, width), requires_grad=False)

    @torch.no_grad()
    def quantize(self, latent: Tensor) -> ResidualCodes:
        """Return the codes of a latent (..., d); the lowest of equally near ones."""
        with torch.autocast(latent.device.type, enabled=False):
            rest = latent.float()
            total = torch.zeros_like(rest)
            codes, residuals = [], []
            for codebook in self.codebook:
                residuals.append(rest)
                # |r - e|^2 without |r|^2, which is the same for all codes
                distance = codebook.square().sum(dim=-1) - 2.0 * (rest @ codebook.T)
                codes.append(distance.argmin(dim=-1))
                picked = F.embedding(codes[-1], codebook)
                rest, total = rest - picked, total + picked
            return ResidualCodes(torch.stack(codes, -1), torch.stack(residuals, -2), total)

    def sum_of(self, codes: Tensor) -> Tensor:
        """Return the vectors (..., d) of codes (..., L) of the first L levels."""
        picked = [F.embedding(codes[..., i], self.codebook[i]) for i in range(codes.shape[-1])]
        return torch.stack(picked).sum(dim=0)
