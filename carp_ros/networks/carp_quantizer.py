"""Multi-scale residual quantizer of CARP's action tokenizer (arXiv:2412.06782).

Residual quantisation from coarse to fine: each scale average-pools the residual of the scales
before it, picks the nearest code for every pooled vector, upsamples the codes to the full length
and adds them to the sum. Each group of action dimensions (in the paper, each dimension) has its own
codebook, shared by all scales.

Shapes: B batch, G groups, C code width, L latent length, K scales, l tokens of a scale and group, V
codes, N = G * sum(l) tokens. Flat tokens are scale-major, then position-major, group-minor: token
`position * G + group` within its scale.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.networks.grouped import grouped_conv
from carp_ros.networks.resampling import bicubic_matrix, pooling_matrix

PHI_SHARE = 0.5
"""Share of an upsampled code that goes through its scale's convolution phi; the rest skips it."""


class Quantized(NamedTuple):
    """A quantized latent."""

    tokens: Tensor
    """Int64, of shape (B, N)."""
    latents: Tensor
    """The sum of the codes after each scale, of shape (B, K, G, C, L)."""


class Scale(nn.Module):
    """One scale: pools a latent, and upsamples its codes to a latent."""

    pool: Tensor
    spread: Tensor

    def __init__(self, groups: int, width: int, tokens: int, length: int) -> None:
        super().__init__()
        self.is_finest = tokens == length
        self.register_buffer("pool", pooling_matrix(length, tokens).T, persistent=False)
        self.register_buffer("spread", bicubic_matrix(tokens, length).T, persistent=False)
        self.phi = grouped_conv(groups, width, width, taps=9)

    def pooled(self, latent: Tensor) -> Tensor:
        """Return (B, l, G, C): the latent (B, G, C, L), averaged over each token's span."""
        coarse = latent if self.is_finest else latent @ self.pool
        return coarse.permute(0, 3, 1, 2)

    def contribution(self, codes: Tensor) -> Tensor:
        """Return what the codes (B, l, G, C) add to the latent, (B, G, C, L)."""
        codes = codes.permute(0, 2, 3, 1)
        h = codes if self.is_finest else codes @ self.spread
        refined = self.phi(h.flatten(1, 2)).view_as(h)  # its bias is added once per scale
        return (1.0 - PHI_SHARE) * h + PHI_SHARE * refined


class MultiScaleQuantizer(nn.Module):
    """Turns latents into tokens and tokens into latents.

    Args:
        groups: G.
        scales: Tokens of each scale and group, coarse to fine; the last is L.
        codes: V.
        width: C.
        cosine: Pick the code with the closest direction rather than the closest code.
    """

    first_code: Tensor

    def __init__(
        self, groups: int, scales: tuple[int, ...], codes: int, width: int, cosine: bool
    ) -> None:
        super().__init__()
        self.cosine = cosine
        bounds = [0]
        for tokens in scales:
            bounds.append(bounds[-1] + groups * tokens)
        self.slices = [slice(first, end) for first, end in pairwise(bounds)]
        """The slice of each scale's tokens within all N."""
        self.scales = nn.ModuleList(Scale(groups, width, n, scales[-1]) for n in scales)
        self.codebook = nn.Parameter(torch.empty(groups, codes, width))
        bound = width**-0.5 / 36.0
        nn.init.uniform_(self.codebook, -bound, bound)
        first_code = codes * torch.arange(groups)
        self.register_buffer("first_code", first_code, persistent=False)

    def quantize(self, latent: Tensor) -> Quantized:
        """Return the tokens of a latent (B, G, C, L) and the latents they decode to.

        Codebook and phi get gradients through `latents`; the input latent gets none.
        """
        rest = latent.detach()
        total = torch.zeros_like(rest)
        tokens, latents = [], []
        for scale in self.scales:
            assert isinstance(scale, Scale)
            tokens.append(self.nearest(scale.pooled(rest)))
            added = scale.contribution(self._codes(tokens[-1]))
            total = total + added
            rest = rest - added.detach()
            latents.append(total)
        return Quantized(torch.cat(tokens, dim=1), torch.stack(latents, dim=1))

    def assigned(self, latent: Tensor, quantized: Quantized) -> tuple[Tensor, Tensor]:
        """Return what codes were chosen for, phi not included: it is trained by gradient.

        Args:
            latent: That was quantized, of shape (B, G, C, L).
            quantized: The result.

        Returns:
            The pooled vectors of all scales, (G, M, C), and their codes, (G, M), in token order.
        """
        tokens, latents = quantized
        parts = []
        for k in range(len(self.slices)):
            rest = latent if k == 0 else latent - latents[:, k - 1]
            parts.append(self._scale(k).pooled(rest))  # (B, l, G, C)
        by_group = tokens.unflatten(1, (-1, len(self.codebook)))
        return torch.cat(parts, 1).permute(2, 0, 1, 3).flatten(1, 2), by_group.permute(
            2, 0, 1
        ).flatten(1)

    def nearest(self, vectors: Tensor) -> Tensor:
        """Return the flat tokens, (B, G l), of the codes nearest to vectors (B, l, G, C)."""
        codebook = self.codebook.detach()
        if self.cosine:
            # a vector's own length does not change which code is closest
            codebook = F.normalize(codebook, dim=-1, eps=1e-12)
        scores = torch.einsum("blgc,gvc->blgv", vectors, codebook)
        if not self.cosine:
            scores = scores - 0.5 * codebook.square().sum(dim=-1)
        return scores.argmax(dim=-1).flatten(1)

    def add_scale(self, k: int, latent: Tensor, tokens: Tensor) -> Tensor:
        """Return the latent (B, G, C, L) with the tokens (B, G l) of scale `k` added."""
        return latent + self._scale(k).contribution(self._codes(tokens))

    def add_mean(self, k: int, latent: Tensor, logits: Tensor, sharpness: float) -> Tensor:
        """Return the latent (B, G, C, L) plus the mean code of scale `k` under its logits.

        Args:
            k: The scale.
            latent: After the scale before it.
            logits: Of the codes, of shape (B, G l, V).
            sharpness: Inverse temperature: 1 takes the mean of the predicted distribution, a large
                value approaches the likeliest code.
        """
        shares = (sharpness * logits.float()).softmax(dim=-1)
        by_group = shares.unflatten(1, (-1, len(self.first_code)))  # (B, l, G, V)
        codes = torch.einsum("blgv,gvc->blgc", by_group, self.codebook)
        return latent + self._scale(k).contribution(codes)

    def latents_from_tokens(self, tokens: Tensor) -> Tensor:
        """Return the latents after each scale, (B, K, G, C, L), of tokens (B, N)."""
        latent = self.empty_latent(tokens.shape[0])
        latents = []
        for k, part in enumerate(self.slices):
            latent = self.add_scale(k, latent, tokens[:, part])
            latents.append(latent)
        return torch.stack(latents, dim=1)

    def next_input(self, k: int, latent: Tensor) -> Tensor:
        """Return the input of scale `k`, (B, G l, C): the latent (B, G, C, L), pooled."""
        return self._scale(k).pooled(latent).flatten(1, 2)

    def empty_latent(self, batch: int) -> Tensor:
        """Return the latent before the first scale, zeros of shape (B, G, C, L)."""
        groups, _, width = self.codebook.shape
        return self.codebook.new_zeros(batch, groups, width, self._scale(-1).pool.shape[0])

    def _scale(self, k: int) -> Scale:
        scale = self.scales[k]
        assert isinstance(scale, Scale)
        return scale

    def _codes(self, tokens: Tensor) -> Tensor:
        """Return the codes (B, l, G, C) of the flat tokens (B, G l) of one scale."""
        by_group = tokens.unflatten(1, (-1, len(self.first_code)))
        return F.embedding(by_group + self.first_code, self.codebook.flatten(0, 1))
