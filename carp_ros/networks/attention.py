"""Attention as in today's language models, over keys and values that may come from elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.networks.backbone import BackboneShape
from carp_ros.networks.rotary import rotated

_EPS = 1e-6


class RootMeanSquareNorm(nn.Module):
    """Norm by the root mean square, in single precision."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., width) from (..., width)."""
        x32 = x.float()
        return (x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + _EPS)).to(x) * self.weight


class JointLayer(nn.Module):
    """A pre-norm layer: grouped-query attention, then a gated feed-forward network.

    Args:
        shape: Heads and rotary positions, shared by all that attend to one another.
        width: Of this layer's own tokens.
        hidden: Of the feed-forward network.
    """

    def __init__(self, shape: BackboneShape, width: int, hidden: int) -> None:
        super().__init__()
        self.shape = shape
        queries, keys = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
        self.norm_1 = RootMeanSquareNorm(width)
        self.to_q = nn.Linear(width, queries, bias=False)
        self.to_k = nn.Linear(width, keys, bias=False)
        self.to_v = nn.Linear(width, keys, bias=False)
        self.to_out = nn.Linear(queries, width, bias=False)
        self.norm_2 = RootMeanSquareNorm(width)
        self.to_gate = nn.Linear(width, hidden, bias=False)
        self.to_hidden = nn.Linear(width, hidden, bias=False)
        self.to_width = nn.Linear(hidden, width, bias=False)

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        mask: Tensor,
        known: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the tokens after this layer, and their own keys and values.

        Args:
            x: Tokens, of shape (B, N, width).
            positions: Of shape (B, N).
            mask: Which keys each token attends to, bool (B, N, S + N): known ones first.
            known: Keys and values, (B, kv_heads, S, w), that were computed before.
        """
        shape = self.shape
        y = self.norm_1(x)
        q, k, v = (
            part.unflatten(-1, (-1, shape.head_width)).transpose(1, 2)
            for part in (self.to_q(y), self.to_k(y), self.to_v(y))
        )
        q, k = (rotated(part, positions, shape.rope_base) for part in (q, k))
        own = (k, v)
        if known is not None:
            k, v = torch.cat((known[0], k), dim=2), torch.cat((known[1], v), dim=2)
        mixed = attended(q, k, v, mask[:, None], shape.scale, shape.softcap)
        x = x + self.to_out(mixed.transpose(1, 2).flatten(2))
        y = self.norm_2(x)
        return x + self.to_width(F.silu(self.to_gate(y)) * self.to_hidden(y)), own


def attended(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float, softcap: float | None = None
) -> Tensor:
    """Return what queries see: (B, heads, N, w).

    Args:
        q: Queries, of shape (B, heads, N, w).
        k: Keys, (B, kv_heads, S, w); each of these heads serves as many of the queries'.
        v: Values, of the same shape.
        mask: Which keys each query attends to, bool (B, 1, N, S); at least one.
        scale: Of the logits.
        softcap: Bound of the logits, as in Gemma 2: `softcap * tanh(scale * q k / softcap)`. Their
            softmax is in single precision at least.
    """
    repeats = int(q.shape[1]) // int(k.shape[1])
    if torch.onnx.is_in_onnx_export():  # what is exported knows no shared heads
        k, v = k.repeat_interleave(repeats, dim=1), v.repeat_interleave(repeats, dim=1)
        repeats = 1
    if softcap is None:
        return fast_attention(q, k, v, mask, scale)
    k, v = k.repeat_interleave(repeats, dim=1), v.repeat_interleave(repeats, dim=1)
    logits = (scale * q) @ k.transpose(-1, -2)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    logits = softcap * torch.tanh(logits / softcap)
    return logits.masked_fill(~mask, float("-inf")).softmax(dim=-1).to(v.dtype) @ v


def fast_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """Return the attention that torch has for a device, in single precision at least on a CPU.

    There, the backward pass in half precision is several times slower than in single precision,
    with torch 2.13 and AMX.

    Args:
        q: Queries, of shape (B, heads, N, w).
        k: Keys, (B, kv_heads, S, w).
        v: Values, of the same shape.
        mask: Which keys each query attends to; None for all.
        scale: Of the logits; None for `w ** -0.5`.
    """
    shared = int(q.shape[1]) != int(k.shape[1])
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, scale=scale, enable_gqa=shared
        )
    exact = torch.promote_types(q.dtype, torch.float32)
    with torch.autocast("cpu", enabled=False):
        mixed = F.scaled_dot_product_attention(
            q.to(exact), k.to(exact), v.to(exact), attn_mask=mask, scale=scale, enable_gqa=shared
        )
    return mixed.to(v.dtype)
