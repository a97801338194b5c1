"""Rotary position embedding (Su et al., arXiv:2104.09864), halves rotated as in Llama's code."""

from __future__ import annotations

import torch
from torch import Tensor


def rotated(vectors: Tensor, positions: Tensor, base: float) -> Tensor:
    """Return queries or keys turned by their positions.

    Args:
        vectors: Of shape (B, heads, N, w), w even.
        positions: Of shape (B, N).
        base: Of the wavelengths, 10 000 in the paper.
    """
    half = vectors.shape[-1] // 2
    steps = torch.arange(half, dtype=torch.float32, device=vectors.device)
    angles = positions[:, None, :, None].float() * base ** (-steps / half)  # (B, 1, N, w / 2)
    first, second = vectors.float().split(half, dim=-1)
    cosine, sine = angles.cos(), angles.sin()
    turned = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
    return turned.to(vectors.dtype)
