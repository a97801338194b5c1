"""FASTer's autoencoder of action patches: convolutions in time, transformers over the whole grid.

After the transformer autoencoder of Parker et al. (arXiv:2411.19842), in two dimensions: a stage
strides along time only, then attends over all cells of its grid of T time groups by C columns.
Grids are tiny, so positions are learned.

Shapes: B batch, T time groups, C columns, w width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.networks.attention import fast_attention

_LAYER_SCALE = 0.1  # at first; the reference's 0.01 starts too slowly with so few layers
_INIT_STD = 0.02


class Block(nn.Module):
    """A pre-norm transformer layer: attention with normalised queries and keys, gated FFN.

    Both branches are scaled per channel.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1 = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.norm_q = nn.LayerNorm(width // heads)
        self.norm_k = nn.LayerNorm(width // heads)
        self.to_out = nn.Linear(width, width, bias=False)
        self.scale_1 = nn.Parameter(torch.full((width,), _LAYER_SCALE))
        self.norm_2 = nn.LayerNorm(width)
        self.to_gate = nn.Linear(width, 8 * width, bias=False)
        self.to_width = nn.Linear(4 * width, width, bias=False)
        self.scale_2 = nn.Parameter(torch.full((width,), _LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N, w) from (B, N, w)."""
        by_head = self.to_qkv(self.norm_1(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = by_head.permute(2, 0, 3, 1, 4)  # each (B, heads, N, w / heads)
        mixed = fast_attention(self.norm_q(q), self.norm_k(k), v)
        x = x + self.scale_1 * self.to_out(mixed.transpose(1, 2).flatten(2))
        gate, value = self.to_gate(self.norm_2(x)).chunk(2, dim=-1)
        return x + self.scale_2 * self.to_width(F.silu(gate) * value)


class Grid(nn.Module):
    """Transformer layers over a grid of cells with learned positions."""

    def __init__(self, times: int, columns: int, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.time = nn.Parameter(_INIT_STD * torch.randn(times, 1, width))
        self.column = nn.Parameter(_INIT_STD * torch.randn(columns, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, C, w) from (B, T, C, w)."""
        shape = x.shape[1:3]
        x = (x + self.time + self.column).flatten(1, 2)
        for block in self.blocks:
            x = block(x)
        return x.unflatten(1, shape)


class Encoder(nn.Module):
    """Halves, quarters, ... the time axis of a grid, attending after each stride.

    Args:
        times: T at the input.
        strides: Of the stages: 1 or an even number.
        columns, width, heads: C, w and attention heads.
        depth: Layers of each stage.
    """

    def __init__(
        self, times: int, strides: Sequence[int], columns: int, width: int, heads: int, depth: int
    ) -> None:
        super().__init__()
        self.down, self.grids = nn.ModuleList(), nn.ModuleList()
        for stride in strides:
            times //= stride
            self.down.append(_strided(nn.Conv2d, width, stride))
            self.grids.append(Grid(times, columns, width, heads, depth))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T / strides, C, w) from (B, T, C, w)."""
        for down, grid in zip(self.down, self.grids):
            x = grid(_over_time(down, x))
        return x


class Decoder(nn.Module):
    """Mirrors `Encoder`, with the same arguments."""

    def __init__(
        self, times: int, strides: Sequence[int], columns: int, width: int, heads: int, depth: int
    ) -> None:
        super().__init__()
        self.up, self.grids = nn.ModuleList(), nn.ModuleList()
        for stride in strides:
            times //= stride
            self.grids.insert(0, Grid(times, columns, width, heads, depth))
            self.up.insert(0, _strided(nn.ConvTranspose2d, width, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, T, C, w) from (B, T / strides, C, w)."""
        for grid, up in zip(self.grids, self.up):
            x = _over_time(up, grid(x))
        return x


def _strided(
    kind: type[nn.Conv2d] | type[nn.ConvTranspose2d], width: int, stride: int
) -> nn.Module:
    """Return a convolution along time, one column at a time, of twice the stride's length."""
    if stride == 1:
        return nn.Identity()
    return kind(width, width, (2 * stride, 1), (stride, 1), (stride // 2, 0))


def _over_time(convolution: nn.Module, x: Tensor) -> Tensor:
    return convolution(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
