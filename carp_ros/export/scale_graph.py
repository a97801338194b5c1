"""One pass of the transformer as a graph, for a batch of one and with as few operators as possible.

With a batch of one, AdaLN is a layer norm whose weights are inputs, and every linear layer a
product of two matrices: one operator each. Whatever depends on weights alone is folded into them,
here or by the exporter: the upsampling and phi of a scale, both linear, become one matrix per
group. `test_the_graphs_say_what_the_network_says` compares the graph with the trained network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.networks.carp_policy import CarpPolicyNetwork
from carp_ros.networks.carp_quantizer import MultiScaleQuantizer, Scale
from carp_ros.networks.carp_transformer import MAX_SHARPNESS, NORM_EPS, Block


class ScaleGraph(nn.Module):
    """Predicts the likeliest tokens of scale `k`, and the latent with their (or the mean) codes.

    Shapes, with T tokens of this scale and P of those before it: see `carp_transformer`.

    Args:
        network: Trained.
        k: The scale, from 0.

    Attributes:
        outputs: Names of the outputs, including `cached`.
        cached: Names of the keys and values for later scales, block by block.
    """

    places: Tensor

    def __init__(self, network: CarpPolicyNetwork, k: int) -> None:
        super().__init__()
        transformer, vq = network.transformer, network.tokenizer.vq
        config, part = transformer.config, transformer.slices[k]
        is_last = k == len(transformer.slices) - 1
        kept = 0 if is_last else config.depth
        self.cached = [f"next_{what}_{i}" for i in range(kept) for what in ("keys", "values")]
        self.outputs = ["next_latent", "tokens", "log_likelihood", *self.cached]
        self.k = k
        self.from_code = transformer.from_code
        places = transformer.positions[part] + transformer.levels[k]
        self.register_buffer("places", places.detach())
        self.blocks = nn.ModuleList(_BlockPass(block, config.heads) for block in transformer.blocks)
        self.head = transformer.head
        self.width = config.width
        self.sharpness = network.sharpness
        self.quantizer = vq.quantizer
        self.latent = _LatentPass(vq.quantizer, k)

    def forward(self, before: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Return `outputs`.

        Args:
            before: `start` (T, E) for the first scale, else `latent` (G, C, L).
            others: The vectors of `ConditionGraph`; then, except for the first scale, each block's
                keys and values of earlier scales, each of shape (heads, head width, P).
        """
        count = 6 * len(self.blocks) + 2
        vectors, past = others[:count], others[count:]
        x = before
        if self.k > 0:
            x = self.from_code(self.quantizer.next_input(self.k, before[None])[0])
        x = x + self.places
        present: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            x, own = block(x, vectors[6 * i : 6 * i + 6], past[2 * i : 2 * i + 2])
            present += own
        scale, shift = vectors[-2:]
        logits = self.head(F.layer_norm(x, (self.width,), scale, shift, NORM_EPS))
        tokens = logits.argmax(dim=-1)
        log_likelihood = logits.log_softmax(dim=-1).amax(dim=-1).sum(dim=0, keepdim=True)
        if self.sharpness is None:
            codes = self.latent.chosen(tokens)
        else:
            codes = self.latent.mean(logits, self.sharpness)
        latent = self.latent.added(codes)
        if self.k > 0:
            latent = before + latent
        return latent, tokens, log_likelihood, *(present if self.cached else ())


class _BlockPass(nn.Module):
    """A transformer block over the tokens of one scale."""

    qkv_bias: Tensor
    scale: Tensor

    def __init__(self, block: nn.Module, heads: int) -> None:
        super().__init__()
        assert isinstance(block, Block)
        attention = block.attention
        self.block, self.heads = block, heads
        width = attention.out.in_features
        qkv = torch.cat((attention.q_bias, attention.no_bias, attention.v_bias))
        self.register_buffer("qkv_bias", qkv.detach())
        self.is_normalised = attention.sharpness is not None
        scale = torch.full((heads, 1, 1), attention.scale)
        if attention.sharpness is not None:
            scale = attention.sharpness.detach().clamp(max=MAX_SHARPNESS).exp()
        self.register_buffer("scale", scale)
        self.width = width

    def forward(
        self, x: Tensor, vectors: tuple[Tensor, ...], past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return tokens (T, E), and keys and values (heads, head width, P + T).

        Queries, keys and values are stored with one token per column: the linear layer's output is
        transposed once, and attention's products then need no further transposes.
        """
        gate_1, gate_2, scale_1, scale_2, shift_1, shift_2 = vectors
        attention, size = self.block.attention, (self.width,)
        y = F.layer_norm(x, size, scale_1, shift_1, NORM_EPS)
        y = F.linear(y, attention.qkv.weight, self.qkv_bias).t()
        q, k, v = y.reshape(3 * self.heads, -1, len(x)).split(self.heads)
        if self.is_normalised:
            q, k = _directions(q), _directions(k)
        q = q * self.scale
        if past:
            k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        y = v @ (q.transpose(1, 2) @ k).softmax(dim=-1).transpose(1, 2)
        x = x + gate_1 * attention.out(y.reshape(self.width, -1).t())
        y = F.layer_norm(x, size, scale_2, shift_2, NORM_EPS)
        y = self.block.out(F.gelu(self.block.hidden(y), approximate="tanh"))
        return x + gate_2 * y, (k, v)


def _directions(x: Tensor) -> Tensor:
    """Return vectors (heads, d, T), each divided by its length."""
    directions = _Directions.apply(x)
    assert isinstance(directions, Tensor)
    return directions


class _Directions(torch.autograd.Function):
    """L2 normalisation as a single ONNX operator, where torch would export five."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1)

    @staticmethod
    def symbolic(graph: Any, x: Any) -> Any:
        return graph.op("LpNormalization", x, axis_i=1, p_i=2).setType(x.type())


class _LatentPass(nn.Module):
    """Computes what the codes of a scale add to the latent."""

    codebook: Tensor
    first_code: Tensor
    offset: Tensor
    matrix: Tensor

    def __init__(self, quantizer: MultiScaleQuantizer, k: int) -> None:
        super().__init__()
        scale = quantizer.scales[k]
        assert isinstance(scale, Scale)
        groups, _, width = quantizer.codebook.shape
        tokens = len(scale.spread)
        self.groups, self.tokens = groups, tokens
        self.register_buffer("codebook", quantizer.codebook.detach())  # (G, V, C)
        self.register_buffer("first_code", quantizer.first_code)
        with torch.no_grad():
            nothing = scale.contribution(torch.zeros(1, tokens, groups, width))
            ones = torch.eye(tokens * width).view(-1, tokens, 1, width).expand(-1, -1, groups, -1)
            each = scale.contribution(ones) - nothing  # (l C, G, C, L)
        self.register_buffer("offset", nothing[0])  # (G, C, L)
        self.register_buffer("matrix", each.flatten(2).transpose(0, 1).contiguous())  # (G, lC, CL)

    def chosen(self, tokens: Tensor) -> Tensor:
        """Return the codes (G, l, C) of tokens (T,)."""
        flat = tokens.view(self.tokens, self.groups) + self.first_code
        return F.embedding(flat, self.codebook.flatten(0, 1)).transpose(0, 1)

    def mean(self, logits: Tensor, sharpness: float) -> Tensor:
        """Return the mean codes (G, l, C) under logits (T, V)."""
        shares = (sharpness * logits).softmax(dim=-1)
        return shares.unflatten(0, (self.tokens, self.groups)).transpose(0, 1) @ self.codebook

    def added(self, codes: Tensor) -> Tensor:
        """Return what codes (G, l, C) add to the latent, (G, C, L)."""
        spread = codes.flatten(1).unsqueeze(1) @ self.matrix  # (G, 1, C L)
        return spread.view(self.offset.shape) + self.offset
