"""CARP's coarse-to-fine autoregressive transformer (arXiv:2412.06782), a small VAR (2404.02905).

Every position of every scale and every group of action dimensions (in the paper, every dimension)
has a token. Training predicts all scales in one pass with teacher forcing
(`CarpTransformer.forward`); inference runs one pass per scale with cached keys and values (`step`,
`generate`). Both give the same logits. Attention within a scale is not masked, since a scale's
input is computed from the scales before it only.

Shapes: B batch, G groups, F features, E width, K scales, T = G * l tokens of one scale, P tokens of
the scales before it, N tokens of all scales, V codes, C code width. Tokens are in the order of
`carp_quantizer`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carp_ros.networks.carp_tokenizer import CarpTokenizer
from carp_ros.strict import Between, Sized

NORM_EPS = 1e-6
MAX_SHARPNESS = math.log(100.0)
"""Upper bound of the learned inverse temperature of attention, as a logarithm."""


@dataclass(frozen=True)
class TransformerConfig:
    """Size of a `CarpTransformer`; the defaults are the paper's for a single task from state.

    Attributes:
        features: F, input features of all observation steps, oldest first.
        groups: G, as many as the tokenizer has.
        scales: Tokens of each scale and group, coarse to fine.
        codes: V.
        code_width: C.
        width: E.
        depth: Number of blocks.
        heads: Attention heads; the published models have as many as blocks.
        tasks: Size of the task embedding; 0 has none.
        task_width: Width of that embedding.
        expansion: Width of a block's hidden layer, as a multiple of `width`.
        normalised_attention: Normalise queries and keys, with a learned inverse temperature.
        drop_path: Probability of dropping the last block's branches in training, linearly less for
            earlier blocks; None takes the published rate, a tenth at a depth of 24.
    """

    features: Annotated[int, Between(1, 1_000_000)]
    groups: Annotated[int, Between(1, 100)] = 10
    scales: Annotated[tuple[int, ...], Sized(1, 16), Between(1, 100)] = (1, 2, 3, 4)
    codes: Annotated[int, Between(1, 100_000)] = 512
    code_width: Annotated[int, Between(1, 1000)] = 8
    width: Annotated[int, Between(1, 100_000)] = 64
    depth: Annotated[int, Between(1, 200)] = 8
    heads: Annotated[int, Between(1, 1000)] = 8
    tasks: Annotated[int, Between(0, 100_000)] = 0
    task_width: Annotated[int, Between(0, 1000)] = 3
    expansion: Annotated[int, Between(1, 100)] = 4
    normalised_attention: bool = True
    drop_path: Annotated[float, Between(0.0, 0.999)] | None = None

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")

    @property
    def tokens(self) -> int:
        """N, the tokens of one chunk."""
        return self.groups * sum(self.scales)

    @property
    def modulation_width(self) -> int:
        """Size of the adaptive-norm modulation of all blocks and the head: (6 depth + 2) E."""
        return (6 * self.depth + 2) * self.width


class Generated(NamedTuple):
    """Tokens that a `CarpTransformer` generated, of all scales that were run."""

    tokens: Tensor
    """Int64, of shape (B, N)."""
    latents: Tensor
    """Their latents (or those of the mean codes) after each scale, (B, K, G, C, L)."""
    log_likelihood: Tensor
    """Sum over tokens of their log-probability at temperature 1, of shape (B,)."""
    logits: Tensor
    """Of shape (B, N, V)."""

    @property
    def latent(self) -> Tensor:
        """The latent after the last scale, (B, G, C, L)."""
        return self.latents[:, -1]


class Attention(nn.Module):
    """Self-attention with an optional cache of keys and values."""

    no_bias: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        # keys have no bias, so theirs is a constant buffer
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("no_bias", torch.zeros(width), persistent=False)
        self.out = nn.Linear(width, width)
        self.sharpness = (
            nn.Parameter(torch.full((self.heads, 1, 1), math.log(4.0)))
            if config.normalised_attention
            else None
        )
        self.scale = 0.25 / math.sqrt(width // self.heads)

    def forward(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None, mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the attended values, and all keys and values, past ones first.

        Args:
            x: Of shape (B, T, E).
            past: Cached keys and values of earlier tokens, each of shape (B, heads, P, E/heads).
            mask: Of shape (T, T), True where a row may attend; None if everywhere.
        """
        bias = torch.cat((self.q_bias, self.no_bias, self.v_bias))
        qkv = F.linear(x, self.qkv.weight, bias).unflatten(2, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, T, E/heads)
        if self.sharpness is None:
            q = q * self.scale
        else:
            q = F.normalize(q, dim=-1) * self.sharpness.clamp(max=MAX_SHARPNESS).exp()
            k = F.normalize(k, dim=-1)
        if past is not None:
            k = torch.cat((past[0], k), dim=2)  # (B, heads, P + T, E/heads)
            v = torch.cat((past[1], v), dim=2)
        # Plain products instead of a fused kernel: they export well, and with about a hundred
        # tokens on a CPU their backward pass is several times faster.
        scores = q @ k.transpose(2, 3)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        y = scores.softmax(dim=-1) @ v
        return self.out(y.transpose(1, 2).flatten(2)), (k, v)


class Block(nn.Module):
    """Attention and an MLP, both modulated by the condition."""

    def __init__(self, config: TransformerConfig, drop_path: float) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.attention = Attention(config)
        self.hidden = nn.Linear(config.width, config.expansion * config.width)
        self.out = nn.Linear(config.expansion * config.width, config.width)

    def forward(
        self,
        x: Tensor,
        modulation: tuple[Tensor, ...],
        past: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return tokens (B, T, E), and keys and values as in `Attention`.

        Args:
            x: Tokens of shape (B, T, E).
            modulation: Two gates, two scales and two shifts, each of shape (B, 1, E).
            past: Cached keys and values of earlier tokens.
            mask: As in `Attention`.
        """
        gate_1, gate_2, scale_1, scale_2, shift_1, shift_2 = modulation
        y, present = self.attention(_modulated(x, scale_1, shift_1), past, mask)
        x = x + self._kept(gate_1 * y)
        y = self.out(F.gelu(self.hidden(_modulated(x, scale_2, shift_2)), approximate="tanh"))
        return x + self._kept(gate_2 * y), present

    def _kept(self, branch: Tensor) -> Tensor:
        """Return a branch; in training, drop it for some samples and rescale it for the others."""
        if not self.training or self.drop_path == 0.0:
            return branch
        keep = 1.0 - self.drop_path
        kept = torch.rand(len(branch), 1, 1, device=branch.device) < keep
        return branch * (kept / keep)


class CarpTransformer(nn.Module):
    """Predicts the tokens of each scale from the scales before it and the observation."""

    mask: Tensor
    level_of: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        width, depth = config.width, config.depth
        embedded = config.task_width if config.tasks else 0
        self.task_embedding = nn.Embedding(config.tasks, embedded) if config.tasks else None
        self.to_condition = nn.Linear(config.features + embedded, width)
        self.to_modulation = nn.Linear(width, config.modulation_width)
        self.from_code = nn.Linear(config.code_width, width)
        self.start_positions = nn.Parameter(torch.empty(config.groups * config.scales[0], width))
        self.positions = nn.Parameter(torch.empty(config.tokens, width))
        self.levels = nn.Parameter(torch.empty(len(config.scales), width))
        last = 0.1 * depth / 24 if config.drop_path is None else config.drop_path
        drop_paths = torch.linspace(0.0, last, depth, device="cpu").tolist()
        self.blocks = nn.ModuleList(Block(config, drop_path) for drop_path in drop_paths)
        self.head = nn.Linear(width, config.codes)

        sizes = [config.groups * tokens for tokens in config.scales]
        ends = torch.tensor([0, *sizes], device="cpu").cumsum(0).tolist()
        self.slices = [slice(first, end) for first, end in pairwise(ends)]
        """The slice of each scale's tokens within all N."""
        level_of = torch.repeat_interleave(
            torch.arange(len(sizes)), torch.tensor(sizes), output_size=sum(sizes)
        )
        self.register_buffer("level_of", level_of, persistent=False)
        mask = level_of[:, None] >= level_of[None, :]  # (N, N), True where a row may attend
        self.register_buffer("mask", mask, persistent=False)
        self._initialise()

    def condition(self, features: Tensor, task: Tensor | None = None) -> Tensor:
        """Return the condition, (B, E).

        Args:
            features: Of all observation steps, oldest first, of shape (B, F).
            task: Task index, int64 of shape (B,), if there is a task embedding.
        """
        if (task is None) != (self.task_embedding is None):
            expected = f"one of {self.config.tasks}" if self.config.tasks else "none"
            raise ValueError(f"task is {task}; expected {expected}")
        if task is not None and self.task_embedding is not None:
            features = torch.cat((features, self.task_embedding(task)), dim=1)
        return self.to_condition(features)

    def modulation(self, condition: Tensor) -> Tensor:
        """Return the modulation of every block's and the head's norms, (B, (6 depth + 2) E)."""
        return self.to_modulation(F.silu(condition))

    def start(self, condition: Tensor) -> Tensor:
        """Return the input of the first scale, (B, T, E)."""
        return condition[:, None] + self.start_positions

    def forward(
        self, condition: Tensor, scale_inputs: Tensor, modulation: Tensor | None = None
    ) -> Tensor:
        """Return the logits of all tokens, (B, N, V), by teacher forcing.

        Args:
            condition: Of shape (B, E).
            scale_inputs: Of all scales but the first, as returned by
                `CarpTokenizer.scale_inputs`, of shape (B, N - T_0, C).
            modulation: The modulation of `condition`, if already computed.
        """
        modulation = self.modulation(condition) if modulation is None else modulation
        *steering, head = self._split(modulation)
        x = torch.cat((self.start(condition), self.from_code(scale_inputs)), dim=1)
        x = x + self.positions + self.levels[self.level_of]
        for block, own in zip(self.blocks, steering):
            x, _ = block(x, own, mask=self.mask)
        return self._logits(x, head)

    def step(
        self,
        k: int,
        x: Tensor,
        modulation: Tensor,
        keys: Tensor | None = None,
        values: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the logits of scale `k`, (B, T, V), and keys and values including its own.

        Args:
            k: The scale.
            x: For the first scale, the result of `start`, of shape (B, T, E); for the others, that
                of `CarpTokenizer.next_input`, of shape (B, T, C).
            modulation: The result of `modulation`.
            keys: Of earlier scales, of shape (depth, B, heads, P, E/heads); None for the first.
            values: Of the same shape.
        """
        *steering, head = self._split(modulation)
        x = x if k == 0 else self.from_code(x)
        x = x + (self.positions[self.slices[k]] + self.levels[k])
        presents = []
        for i, block in enumerate(self.blocks):
            past = None if keys is None or values is None else (keys[i], values[i])
            x, present = block(x, steering[i], past)
            presents.append(present)
        all_keys, all_values = (torch.stack(side) for side in zip(*presents))
        return self._logits(x, head), all_keys, all_values

    @torch.no_grad()
    def generate(
        self,
        tokenizer: CarpTokenizer,
        condition: Tensor,
        *,
        top_k: int = 1,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        sharpness: float | None = None,
        last_scale: int | None = None,
    ) -> Generated:
        """Generate tokens for a condition (B, E), scale by scale.

        Args:
            tokenizer: The tokenizer of these tokens.
            condition: The result of `condition`.
            top_k: Sample each token from this many likeliest ones; 1 takes the likeliest.
            temperature: Of sampling; above 1 is more uniform. No effect with a `top_k` of 1.
            generator: Random number generator; None takes torch's default.
            sharpness: Inverse temperature: continue from the mean code of each scale, see
                `add_mean`; None, as published, continues from the chosen codes.
            last_scale: Stop after this scale, counted from 0; None runs all.
        """
        if not 1 <= top_k <= self.config.codes:
            raise ValueError(f"top_k is {top_k}; expected 1 to {self.config.codes}, all codes")
        if not temperature > 0.0:
            raise ValueError(f"temperature is {temperature}; expected more than 0")
        modulation = self.modulation(condition)
        latent = tokenizer.empty_latent(len(condition))
        keys = values = None
        tokens: list[Tensor] = []
        logits: list[Tensor] = []
        latents: list[Tensor] = []
        for k in range(len(self.slices))[: None if last_scale is None else last_scale + 1]:
            x = self.start(condition) if k == 0 else tokenizer.next_input(k, latent)
            scale_logits, keys, values = self.step(k, x, modulation, keys, values)
            chosen = _choose(scale_logits, top_k, temperature, generator)
            if sharpness is None:
                latent = tokenizer.add_scale(k, latent, chosen)
            else:
                latent = tokenizer.add_mean(k, latent, scale_logits, sharpness)
            tokens.append(chosen)
            latents.append(latent)
            logits.append(scale_logits)
        all_tokens, all_logits = torch.cat(tokens, dim=1), torch.cat(logits, dim=1)
        likelihoods = all_logits.log_softmax(dim=-1).gather(2, all_tokens[..., None])
        return Generated(
            all_tokens, torch.stack(latents, dim=1), likelihoods.sum(dim=(1, 2)), all_logits
        )

    def _split(self, modulation: Tensor) -> list[tuple[Tensor, ...]]:
        """Return each block's six vectors of shape (B, 1, E), followed by the head's two."""
        vectors = modulation.unflatten(1, (-1, 1, self.config.width)).unbind(1)
        return [vectors[i : i + 6] for i in range(0, len(vectors), 6)]

    def _logits(self, x: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        scale, shift = modulation
        return self.head(_modulated(x, scale, shift))

    def _initialise(self) -> None:
        """Set the published initial weights: small, with the gates almost closed."""
        width, depth = self.config.width, self.config.depth
        std = math.sqrt(1.0 / (3.0 * width))
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.trunc_normal_(module.weight, std=std)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)
        for table in (self.start_positions, self.positions, self.levels):
            nn.init.trunc_normal_(table, std=std)
        with torch.no_grad():
            self.head.weight.mul_(0.02)
            self.to_modulation.weight.mul_(0.5)
            gates = self.to_modulation.weight[: 6 * depth * width].view(depth, 6, width, width)
            gates[:, :2].mul_(1e-3 / 0.5)
            for block in self.blocks:
                assert isinstance(block, Block)
                block.attention.out.weight.div_(math.sqrt(2.0 * depth))
                block.out.weight.div_(math.sqrt(2.0 * depth))


def _modulated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return tokens (B, T, E), normalised, then scaled and shifted by vectors (B, 1, E)."""
    return F.layer_norm(x, x.shape[-1:], eps=NORM_EPS) * (scale + 1.0) + shift


def _choose(
    logits: Tensor, top_k: int, temperature: float, generator: torch.Generator | None
) -> Tensor:
    """Return a token for each row of logits (B, T, V), int64 of shape (B, T)."""
    if top_k == 1:
        return logits.argmax(dim=-1)
    likeliest, codes = logits.topk(top_k, dim=-1)
    drawn = torch.multinomial(
        (likeliest / temperature).softmax(dim=-1).flatten(0, 1), 1, generator=generator
    )
    return codes.gather(2, drawn.view(*codes.shape[:2], 1))[..., 0]
