"""Alternatives to the paper's codebook training: moving averages and restarts of dead codes.

Moving averages as in A. van den Oord et al., arXiv:1711.00937, appendix A.1; restarts as in
Jukebox, arXiv:2005.00341, section 3.1. Both use the pooled vectors that the codes were chosen for,
so phi, which is always trained by gradient, does not enter the average.

Shapes as in `carp_quantizer`; M vectors per batch and group, over all scales.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from carp_ros.networks.carp_quantizer import MultiScaleQuantizer, Scale

DECAY = 0.99
"""Decay of the usage statistics when the codebook itself is not averaged."""


class CodebookUpkeep(nn.Module):
    """Updates a quantizer's codebook after each training batch.

    Args:
        quantizer: Gradients of its codebook are switched off if `decay` is given.
        decay: Of the codes' moving averages, per batch; None trains codes by gradient.
        restart_below: Share of uniform use below which a code is replaced by a random vector of the
            batch; 0 never does.
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
        # start as if all codes had been used uniformly: none is dead, and none jumps
        self.register_buffer("uses", torch.ones(codebook.shape[:2]))
        self.register_buffer("sums", codebook.detach().clone())

    @torch.no_grad()
    def forward(
        self, quantizer: MultiScaleQuantizer, latent: Tensor, tokens: Tensor, latents: Tensor
    ) -> None:
        """Move codes towards the vectors assigned to them in this batch; restart dead ones.

        Args:
            quantizer: Its codebook is changed.
            latent: The latent that was quantized, of shape (B, G, C, L).
            tokens: Of shape (B, N).
            latents: After each scale, of shape (B, K, G, C, L).
        """
        codebook = quantizer.codebook
        vectors = _vectors(quantizer, latent, latents)  # (G, M, C)
        chosen = tokens.view(len(tokens), -1, len(codebook)).permute(2, 0, 1).flatten(1)  # (G, M)
        # in units of uniform use, independent of batch and codebook size
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
