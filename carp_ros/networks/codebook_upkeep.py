"""Codebooks kept up without gradients: moving averages, and restarts of dead codes.

Moving averages as in A. van den Oord et al., arXiv:1711.00937, appendix A.1; restarts as in
Jukebox, arXiv:2005.00341, section 3.1.

Shapes: G codebooks, V codes, C code width; M vectors per batch and codebook.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

DECAY = 0.99
"""Decay of the usage statistics when the codebook itself is not averaged."""


class CodebookUpkeep(nn.Module):
    """Updates codebooks after each training batch.

    Args:
        codebook: Of shape (G, V, C); its gradients are switched off if `decay` is given.
        decay: Of the codes' moving averages, per batch; None trains codes by gradient.
        restart_below: Share of uniform use below which a code is replaced by a random vector of the
            batch; 0 never does.
    """

    uses: Tensor
    sums: Tensor

    def __init__(self, codebook: nn.Parameter, decay: float | None, restart_below: float) -> None:
        super().__init__()
        for name, value in (("decay", decay or 0.0), ("restart_below", restart_below)):
            if not 0.0 <= value < 1.0:
                raise ValueError(f"{name} is {value}; expected at least 0 and less than 1")
        self.averages = decay is not None
        self.decay = DECAY if decay is None else decay
        self.restart_below = restart_below
        codebook.requires_grad_(not self.averages)
        self.register_buffer("uses", torch.ones(codebook.shape[:2]))
        self.register_buffer("sums", codebook.detach().clone())

    @torch.no_grad()
    def begin(self, codebook: Tensor) -> None:
        """Start from these codes, as if all had been used uniformly: none is dead, none jumps."""
        self.uses.fill_(1.0)
        self.sums.copy_(codebook)

    @torch.no_grad()
    def forward(self, codebook: Tensor, vectors: Tensor, chosen: Tensor) -> None:
        """Move codes towards the vectors assigned to them in this batch; restart dead ones.

        Args:
            codebook: Is changed.
            vectors: That codes were chosen for, of shape (G, M, C).
            chosen: Their codes, int64 (G, M).
        """
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
        # its statistics, too: else the next average would undo the replacement
        self.sums.copy_(torch.where(dead[..., None], fresh, self.sums))
        self.uses.masked_fill_(dead, 1.0)
