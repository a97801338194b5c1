"""Looks in images for what a text names.

Convolutions find the same things whatever is asked for, and with little data a network doesn't
learn to choose among them afterwards. Here the text says what to look for: it forms queries, and
attention over the cells of an image finds where each is answered, and by what.

Shapes: B batch, V cameras, n cells of an image, L text tokens, Q looks, d width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.networks.vision import cell_places

_INIT_STD = 0.02
_HIDDEN = -1e9  # logit of padding


class Looking(nn.Module):
    """Attends to the cells of each camera's image by what the text asks for.

    Args:
        width: d.
        looks: Q, in each image.
        cameras: V; each has queries of its own, as its view is another.
        size: Rows and columns of cells, n in all.
    """

    x: Tensor
    y: Tensor

    def __init__(self, width: int, looks: int, cameras: int, size: tuple[int, int]) -> None:
        super().__init__()
        self._scale = width**-0.5
        # "red cup" and "cup that is red": words are read with those near them
        self.near = nn.Conv1d(width, width, 3, padding=1)
        self.nearby = nn.Conv1d(width, width, 3, padding=1)
        self.to_key = nn.Linear(width, width)
        self.to_query = nn.Linear(width, width)
        self.to_token = nn.Linear(width + 2, width)
        self.asks = nn.Parameter(_INIT_STD * torch.randn(cameras, looks, width))
        x, y = cell_places(size)
        self.register_buffer("x", x, persistent=False)
        self.register_buffer("y", y, persistent=False)

    def forward(self, cells: Tensor, text: Tensor, is_real: Tensor) -> Tensor:
        """Return what each look found and where, (B, V, Q, d).

        Args:
            cells: Of the images, (B, V, n, d).
            text: Embeddings, (B, L, d).
            is_real: False for padding, (B, L).
        """
        shown = self.attention(cells, text, is_real)
        where = torch.stack((shown @ self.x, shown @ self.y), dim=-1)
        return self.to_token(torch.cat((shown @ cells, where), dim=-1))

    def attention(self, cells: Tensor, text: Tensor, is_real: Tensor) -> Tensor:
        """Return how much each look sees of each cell, (B, V, Q, n), rows of sum 1."""
        words = self._words(text, is_real)[:, None]  # (B, 1, L, d)
        heard = self._scale * self.asks @ self.to_key(words).transpose(2, 3)
        heard = heard.masked_fill(~is_real[:, None, None], _HIDDEN).softmax(dim=-1)  # (B, V, Q, L)
        queries = self.to_query(heard @ words)
        return (self._scale * queries @ cells.transpose(2, 3)).softmax(dim=-1)

    def _words(self, text: Tensor, is_real: Tensor) -> Tensor:
        """Return words as they are meant among others, (B, L, d)."""
        shown = is_real[:, None].to(text)
        words = text.transpose(1, 2) * shown
        near = F.gelu(self.near(words)) * shown
        return (words + self.nearby(near)).transpose(1, 2)
