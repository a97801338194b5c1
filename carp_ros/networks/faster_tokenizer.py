"""FASTerVQ (arXiv:2512.04952): action chunks to a fixed number of tokens and back.

A chunk is cut into patches (`patches`), an autoencoder turns them into a small grid of latents
(`action_autoencoder`), and each cell of the grid is quantized in several levels, coarse to fine
(`residual_quantizer`). Codebook upkeep, the restart rule and the preset sizes fill gaps of the
paper; so does the reading of its patchifier: a convolution over the padded slots, of all slots that
do not fit into C columns at once.

Shapes: B batch, H horizon, D numbers of an action, T by C grid of latents, d their width, L levels,
K codes of a level, N = L T C tokens, level-major, then time, then column: if T is 1, a block of C
tokens is one level. Actions are normalised to [-1, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor, nn

from carp_ros.networks.action_autoencoder import Decoder, Encoder
from carp_ros.networks.codebook_upkeep import CodebookUpkeep
from carp_ros.networks.patches import Patchifier
from carp_ros.networks.resampling import cosine_matrix
from carp_ros.networks.residual_quantizer import ResidualQuantizer
from carp_ros.strict import Between, Sized


@dataclass(frozen=True)
class FasterTokenizerConfig:
    """Size and training recipe of a `FasterTokenizer`; the defaults are the paper's 8 M network.

    Attributes:
        groups: Numbers in each physical group of an action, such as position, rotation, gripper.
        horizon: H.
        patch_steps: Steps of a time group.
        strides: By which each stage of the encoder shortens the time axis.
        columns: `conv`: D columns, soft windows over the padded slots; `number`: one per number.
        width, heads, depth: Of the transformers, depth in each stage.
        levels, codes, code_width: L, K and d.
        commitment: Weight of the distance between latents and their codes.
        frequency: Weight of the error of the chunk's cosine transform along time.
        codebook_decay: Of the codes' moving averages, per batch.
        restart_below: Restart a code that is used less often than this share of uniform use.
        level_dropout: Share of training chunks that are decoded from their first levels only.
    """

    groups: Annotated[tuple[int, ...], Sized(1, 32), Between(1, 32)] = (3, 3, 1)
    horizon: Annotated[int, Between(1, 400)] = 16
    patch_steps: Annotated[int, Between(1, 100)] = 4
    strides: Annotated[tuple[int, ...], Sized(1, 6), Between(1, 8)] = (1, 2, 2)
    columns: Literal["conv", "number"] = "conv"
    width: Annotated[int, Between(8, 4096)] = 192
    heads: Annotated[int, Between(1, 64)] = 6
    depth: Annotated[int, Between(1, 24)] = 2
    levels: Annotated[int, Between(1, 8)] = 3
    codes: Annotated[int, Between(2, 65_536)] = 4096
    code_width: Annotated[int, Between(1, 1024)] = 128
    commitment: Annotated[float, Between(0.0, 1000.0)] = 0.25
    frequency: Annotated[float, Between(0.0, 1000.0)] = 1.0
    codebook_decay: Annotated[float, Between(0.0, 0.999999)] = 0.95
    restart_below: Annotated[float, Between(0.0, 0.999999)] = 0.03
    level_dropout: Annotated[float, Between(0.0, 1.0)] = 0.0

    def __post_init__(self) -> None:
        shortened = self.patch_steps * math.prod(self.strides)
        if self.horizon % shortened:
            raise ValueError(
                f"horizon is {self.horizon}; expected a multiple of {shortened}: {self.patch_steps}"
                f" steps of a patch times the strides {self.strides}"
            )
        odd = [stride for stride in self.strides if stride > 1 and stride % 2]
        if odd:
            raise ValueError(f"a stride is {odd[0]}; expected 1 or an even number")
        if self.width % self.heads:
            raise ValueError(
                f"width is {self.width}; expected a multiple of the {self.heads} heads"
            )

    @property
    def dimensions(self) -> int:
        """D, which also is C."""
        return sum(self.groups)

    @property
    def times(self) -> int:
        """T."""
        return self.horizon // (self.patch_steps * math.prod(self.strides))

    @property
    def tokens(self) -> int:
        """N, the tokens of one chunk."""
        return self.levels * self.times * self.dimensions


class FasterLoss(NamedTuple):
    """Losses of one training step."""

    loss: Tensor
    """To minimise."""
    reconstruction_loss: Tensor
    """Mean absolute error."""
    quantization_loss: Tensor
    """Mean squared distance between latents and their codes."""
    tokens: Tensor
    """Int64, of shape (B, N)."""


class FasterTokenizer(nn.Module):
    """Residual VQ autoencoder of action chunks."""

    cosines: Tensor

    def __init__(self, config: FasterTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        groups = config.groups if config.columns == "conv" else (config.dimensions,)
        self.patches = Patchifier(groups, config.patch_steps)
        taps = self.patches.slots - config.dimensions + 1
        steps, width = config.patch_steps, config.width
        times = config.horizon // steps
        sizes = (times, config.strides, config.dimensions, width, config.heads, config.depth)
        self.to_columns = nn.Conv2d(steps, width, (1, taps))
        self.encoder = Encoder(*sizes)
        self.to_code = nn.Linear(width, config.code_width)
        self.quantizer = ResidualQuantizer(config.levels, config.codes, config.code_width)
        self.upkeep = CodebookUpkeep(
            self.quantizer.codebook, config.codebook_decay, config.restart_below
        )
        self.from_code = nn.Linear(config.code_width, width)
        self.decoder = Decoder(*sizes)
        self.from_columns = nn.ConvTranspose2d(width, steps, (1, taps))
        self.register_buffer("cosines", cosine_matrix(config.horizon), persistent=False)

    def encode(self, actions: Tensor) -> Tensor:
        """Return the latent, (B, T, C, d), of actions (B, H, D)."""
        patches = self.patches.patchify(actions).permute(0, 3, 1, 2)  # (B, h, m, S)
        return self.to_code(self.encoder(self.to_columns(patches).permute(0, 2, 3, 1)))

    def decode(self, latent: Tensor) -> Tensor:
        """Return the actions, (B, H, D), of a latent (B, T, C, d); not clamped."""
        columns = self.decoder(self.from_code(latent)).permute(0, 3, 1, 2)
        return self.patches.unpatchify(self.from_columns(columns).permute(0, 2, 3, 1))

    def tokenize(self, actions: Tensor) -> Tensor:
        """Return the tokens, int64 (B, N), of actions (B, H, D)."""
        return self.tokens_of(self.quantizer.quantize(self.encode(actions)).codes)

    def tokens_of(self, codes: Tensor) -> Tensor:
        """Return the tokens, (B, N), of codes (B, T, C, L)."""
        return codes.permute(0, 3, 1, 2).flatten(1)

    def codes_of(self, tokens: Tensor) -> Tensor:
        """Return the codes, (B, T, C, l), of the tokens of the first l levels, (B, l T C)."""
        grid = (self.config.times, self.config.dimensions)
        return tokens.unflatten(1, (-1, *grid)).permute(0, 2, 3, 1)

    def latent_of(self, tokens: Tensor) -> Tensor:
        """Return the latent, (B, T, C, d), of the tokens of the first l levels, (B, l T C)."""
        return self.quantizer.sum_of(self.codes_of(tokens))

    @torch.no_grad()
    def begin(self, actions: Tensor, rounds: int = 10) -> None:
        """Spread the codes over the latents of actions (M, H, D), level by level (k-means).

        Args:
            actions: The more cells of latents they have, the better: 4 per code or more.
            rounds: Of k-means.
        """
        rest = self.encode(actions).flatten(0, 2)
        for codebook in self.quantizer.codebook:
            codebook.copy_(_means(rest, len(codebook), rounds))
            nearest = torch.cdist(rest, codebook).argmin(dim=1)
            rest = rest - codebook[nearest]
        self.upkeep.begin(self.quantizer.codebook)

    def forward(self, actions: Tensor) -> FasterLoss:
        """Return the losses for actions (B, H, D); in training mode, also update the codebooks."""
        latent = self.encode(actions)
        codes, residuals, quantized = self.quantizer.quantize(latent)
        if self.training:
            quantized = self._with_fewer_levels(codes, quantized)
        # straight-through estimator: the decoder gets codes, its gradient goes to the encoder
        error = self.decode(latent + (quantized - latent).detach()) - actions
        reconstruction_loss = error.abs().mean()
        frequency_loss = (self.cosines @ error).abs().mean()  # the transform is linear
        quantization_loss = (latent - quantized.detach()).square().mean()
        if self.training:
            vectors = residuals.detach().flatten(0, 2).transpose(0, 1)  # (L, M, d)
            self.upkeep(self.quantizer.codebook, vectors, codes.flatten(0, 2).T.contiguous())
        loss = (
            reconstruction_loss
            + self.config.frequency * frequency_loss
            + self.config.commitment * quantization_loss
        )
        return FasterLoss(loss, reconstruction_loss, quantization_loss, self.tokens_of(codes))

    def _with_fewer_levels(self, codes: Tensor, quantized: Tensor) -> Tensor:
        """Return `quantized` with some chunks decoded from their first levels only."""
        if not self.config.level_dropout or self.config.levels == 1:
            return quantized
        short = torch.rand(len(codes), device=codes.device) < self.config.level_dropout
        levels = int(torch.randint(1, self.config.levels, ()))
        fewer = self.quantizer.sum_of(codes[..., :levels])
        return torch.where(short[:, None, None, None], fewer, quantized)


def _means(vectors: Tensor, count: int, rounds: int) -> Tensor:
    """Return `count` means of vectors (M, d); one without vectors stays where it was."""
    pick = torch.randperm(len(vectors))[:count]
    if len(pick) < count:
        pick = torch.cat((pick, torch.randint(len(vectors), (count - len(pick),))))
    means = vectors[pick].clone()
    for _ in range(rounds):
        nearest = torch.cdist(vectors, means).argmin(dim=1)
        number = torch.bincount(nearest, minlength=count)[:, None]
        sums = torch.zeros_like(means).index_add_(0, nearest, vectors)
        means = torch.where(number > 0, sums / number.clamp(min=1), means)
    return means
