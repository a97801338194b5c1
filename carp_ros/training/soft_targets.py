"""Label smoothing over near codes: a code that means almost the same is almost right.

The published recipe's target is the one true token. With few demonstrations, a network then
memorises which of two nearly equal codes each frame had. Here, each token's target is spread over
the codes near it, by a Gaussian of their distance.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LEAST_DISTANCE = 1e-12  # if all codes are equal, as for an action dimension that never changes


def soft_targets(codebook: Tensor, spread: float) -> Tensor:
    """Return the target distribution of each code of each group, (G, V, V), rows of sum 1.

    Args:
        codebook: Of shape (G, V, C).
        spread: Standard deviation, in units of the mean distance from a code to its nearest other.
    """
    distances = torch.cdist(codebook, codebook)  # (G, V, V)
    own = torch.eye(codebook.shape[1], dtype=torch.bool, device=codebook.device)
    nearest = distances.masked_fill(own, float("inf")).amin(dim=-1).mean(dim=-1)  # (G,)
    nearest = nearest.clamp(min=_LEAST_DISTANCE)
    return (-0.5 * (distances / (spread * nearest[:, None, None])).square()).softmax(dim=-1)


def soft_cross_entropy(logits: Tensor, tokens: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits (B, N, V) against the smoothed targets of tokens.

    Args:
        logits: In the order of flat tokens, group-minor.
        tokens: The true ones, int64 (B, N).
        targets: From `soft_targets`, (G, V, V).
    """
    groups, codes = targets.shape[:2]
    group = torch.arange(tokens.shape[1], device=tokens.device) % groups
    wanted = F.embedding(group * codes + tokens, targets.flatten(0, 1))  # (B, N, V)
    return -(wanted * logits.float().log_softmax(dim=-1)).sum(dim=-1).mean()
