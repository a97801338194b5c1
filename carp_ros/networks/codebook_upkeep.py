"""Codebooks that do not learn by gradient, and codes that nothing uses: options beside the paper's.

Moving averages as in A. van den Oord et al., arXiv:1711.00937, appendix A.1; new places for dead
codes as in Jukebox, arXiv:2005.00341, section 3.1. Both work on the pooled vectors that codes were
chosen for, so phi, which learns by gradient in either case, is left out of the average.

Shapes as in `carp_quantizer`; M vectors of a batch and group, those of all scales.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from carp_ros.networks.carp_quantizer import MultiScaleQuantizer, Scale

DECAY = 0.99
"""Of the use of codes, where the codebook itself is not averaged."""


class CodebookUpkeep(nn.Module):
    """Keeps a quantizer's codebook, from each training batch.

    Args:
        quantizer: Its codebook is told not to learn by gradient if `decay` is given.
        decay: Of the codes' moving averages, a batch; None leaves codes to the gradient.
        restart_below: Share of an even use below which a code is given the place of a random
            vector of the batch; 0 never does.
    """

    uses: Tensor
    sums: Tensor

    def __init__(
        self, quantizer: MultiScaleQuantizer, decay: float | None, restart_below: float
    ) -> None:
        super().__init__()
        for name, value in (("decay", decay or 0.0), ("restart_below", restart_below)):
            if not 0.0 <= value < 1.0:
                raise ValueError(f"{name} is {value}; expected at least 0 and less than 1")
        self.averages = decay is not None
        self.decay = DECAY if decay is None else decay
        self.restart_below = restart_below
        codebook = quantizer.codebook
        codebook.requires_grad_(not self.averages)
        # as if each code had just been used evenly: none is dead, none moves far, at the start
        self.register_buffer("uses", torch.ones(codebook.shape[:2]))
        self.register_buffer("sums", codebook.detach().clone())

    @torch.no_grad()
    def forward(
        self, quantizer: MultiScaleQuantizer, latent: Tensor, tokens: Tensor, latents: Tensor
    ) -> None:
        """Move codes towards what they stood for in this batch, and restart dead ones.

        Args:
            quantizer: Its codebook is changed.
            latent: What was quantized, of shape (B, G, C, L).
            tokens: Of shape (B, N).
            latents: After each scale, of shape (B, K, G, C, L).
        """
        codebook = quantizer.codebook
        vectors = _vectors(quantizer, latent, latents)  # (G, M, C)
        chosen = tokens.view(len(tokens), -1, len(codebook)).permute(2, 0, 1).flatten(1)  # (G, M)
        # in units of an even use, so that neither batch nor codebook size matters
        even = chosen.shape[1] / codebook.shape[1]
        uses = torch.zeros_like(self.uses).scatter_add_(
            1, chosen, vectors.new_full(chosen.shape, 1.0 / even)
        )
        sums = torch.zeros_like(self.sums).scatter_add_(
            1, chosen[..., None].expand_as(vectors), vectors / even
        )
        self.uses.lerp_(uses, 1.0 - self.decay)
        self.sums.lerp_(sums, 1.0 - self.decay)
        if self.averages:
            codebook.copy_(self.sums / self.uses.clamp(min=1e-5)[..., None])
        if self.restart_below > 0.0:
            self._restart(codebook, vectors)

    def _restart(self, codebook: Tensor, vectors: Tensor) -> None:
        dead = self.uses < self.restart_below
        pick = torch.randint(vectors.shape[1], dead.shape, device=dead.device)
        fresh = vectors.gather(1, pick[..., None].expand_as(codebook))
        codebook.copy_(torch.where(dead[..., None], fresh, codebook))
        self.sums.copy_(torch.where(dead[..., None], fresh, self.sums))
        self.uses.masked_fill_(dead, 1.0)


def _vectors(quantizer: MultiScaleQuantizer, latent: Tensor, latents: Tensor) -> Tensor:
    """Return the vectors, (G, M, C), that each scale's codes were chosen for; M in token order."""
    parts = []
    for k, scale in enumerate(quantizer.scales):
        assert isinstance(scale, Scale)
        rest = latent if k == 0 else latent - latents[:, k - 1]
        parts.append(scale.pooled(rest))  # (B, l, G, C)
    return torch.cat(parts, dim=1).permute(2, 0, 1, 3).flatten(1, 2)
