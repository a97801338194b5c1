"""One pass of the transformer as a graph, for one robot and in as few operators as it takes.

For a batch of one, AdaLN is a norm whose weights are inputs, and every linear layer a product of
two matrices: one operator each. Whatever follows from weights alone is folded into them here or by
the exporter: spreading and phi of a scale, linear together, become one matrix a group.
`test_the_graphs_say_what_the_network_says` compares it with the network that is trained.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.networks.carp_policy import CarpPolicyNetwork
from carp_ros.networks.carp_quantizer import MultiScaleQuantizer, Scale
from carp_ros.networks.carp_transformer import MAX_SHARPNESS, NORM_EPS, Block


class ScaleGraph(nn.Module):
    """The likeliest tokens of scale `k`, and the latent with them or with the mean of the codes.

    Shapes, with T tokens of this scale and P of those before it: see `carp_transformer`.
    """

    places: Tensor

    def __init__(self, network: CarpPolicyNetwork, k: int) -> None:
        super().__init__()
        transformer, vq = network.transformer, network.tokenizer.vq
        config, part = transformer.config, transformer.slices[k]
        self.is_last = k == len(transformer.slices) - 1
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

    def forward(
        self,
        modulation: Tensor,
        before: Tensor,
        keys: Tensor | None = None,
        values: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Return `next_latent`, `tokens`, `log_likelihood`; of all but the last also `next_keys`.

        Args:
            modulation: Of shape (M,), as `EncoderGraph` returns it.
            before: `start` (T, E) for the first scale, else `latent` (G, C, L).
            keys: Of the scales before, (depth, heads, P, head width); None for the first.
            values: Likewise; with `next_keys` comes `next_values`.
        """
        vectors = modulation.split(self.width)
        x = before
        if self.k > 0:
            x = self.from_code(self.quantizer.next_input(self.k, before[None])[0])
        x = x + self.places
        count = len(self.blocks)
        past: list[tuple[Tensor, Tensor] | None] = [None] * count
        if keys is not None and values is not None:
            past = list(zip(keys.split(1), values.split(1)))
        present = []
        for i, block in enumerate(self.blocks):
            x, own = block(x, vectors[6 * i : 6 * i + 6], past[i])
            present.append(own)
        scale, shift = vectors[6 * count :]
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
        found = (latent, tokens, log_likelihood)
        return found if self.is_last else (*found, *(torch.cat(side) for side in zip(*present)))


class _BlockPass(nn.Module):
    """A block of the transformer over the tokens of one scale."""

    qkv_bias: Tensor
    unit: Tensor
    scale: Tensor

    def __init__(self, block: nn.Module, heads: int) -> None:
        super().__init__()
        assert isinstance(block, Block)
        attention = block.attention
        self.block, self.heads = block, heads
        width = attention.out.in_features
        qkv = torch.cat((attention.q_bias, attention.no_bias, attention.v_bias))
        self.register_buffer("qkv_bias", qkv.detach())
        # a mean of squares is a sum of them but for this
        self.register_buffer("unit", torch.full((width // heads,), (width // heads) ** -0.5))
        self.is_normalised = attention.sharpness is not None
        scale = torch.full((heads, 1, 1), attention.scale)
        if attention.sharpness is not None:
            scale = attention.sharpness.detach().clamp(max=MAX_SHARPNESS).exp()
        self.register_buffer("scale", scale)
        self.width = width

    def forward(
        self, x: Tensor, vectors: tuple[Tensor, ...], past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return tokens (T, E), and keys and values (1, heads, P + T, head width)."""
        gate_1, gate_2, scale_1, scale_2, shift_1, shift_2 = vectors
        attention, size = self.block.attention, (self.width,)
        y = F.layer_norm(x, size, scale_1, shift_1, NORM_EPS)
        y = F.linear(y, attention.qkv.weight, self.qkv_bias)
        qk, v = y.unflatten(1, (3, self.heads, -1)).permute(1, 2, 0, 3).split((2, 1))
        if self.is_normalised:
            qk = self._normalised(qk)
        q, k = qk.split(1)
        q = q * self.scale
        if past is not None:
            k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        y = (q @ k.transpose(2, 3)).softmax(dim=-1) @ v
        x = x + gate_1 * attention.out(y.permute(0, 2, 1, 3).reshape(x.shape))
        y = F.layer_norm(x, size, scale_2, shift_2, NORM_EPS)
        y = self.block.out(F.gelu(self.block.hidden(y), approximate="tanh"))
        return x + gate_2 * y, (k, v)

    def _normalised(self, x: Tensor) -> Tensor:
        """Return vectors of length 1, said as runtimes have an operator for it."""
        return x / (x.pow(2).mean(dim=-1, keepdim=True) + 1e-24).sqrt() * self.unit


class _LatentPass(nn.Module):
    """What the codes of a scale add to the latent."""

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
        """Return the mean codes (G, l, C) by logits (T, V)."""
        shares = (sharpness * logits).softmax(dim=-1)
        return shares.unflatten(0, (self.tokens, self.groups)).transpose(0, 1) @ self.codebook

    def added(self, codes: Tensor) -> Tensor:
        """Return what codes (G, l, C) add to the latent, (G, C, L)."""
        spread = codes.flatten(1).unsqueeze(1) @ self.matrix  # (G, 1, C L)
        return spread.view(self.offset.shape) + self.offset
