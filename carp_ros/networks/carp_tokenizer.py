"""CARP's action tokenizer (arXiv:2412.06782): action chunks to multi-scale tokens and back.

One small VQ-VAE per action dimension, which sees only that dimension over the horizon. The D of
them run as one grouped network, without a loop. The alternative that the paper argues against, one
joint VQ-VAE of all dimensions, is available too. Two choices follow the published code although the
paper does not mention them: half of each code skips phi, and the tokenizer is used with the weights
of an epoch, not with averaged ones.

Shapes: B batch, H horizon, D action dimensions, G groups of them with one VQ-VAE each (D, or 1 if
joint), C code width, L = H/4 latent length, K scales, l tokens of a scale and group, V codes,
N = G * sum(l) tokens in the order of `carp_quantizer`. Actions are normalised to about [-1, 1].
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from carp_ros.networks.carp_quantizer import MultiScaleQuantizer, Quantized
from carp_ros.networks.codebook_upkeep import CodebookUpkeep
from carp_ros.networks.grouped import (
    Downsample,
    ResidualBlock,
    Upsample,
    grouped_conv,
    grouped_norm,
)
from carp_ros.strict import Between, Sized

COMPRESSION = 4
"""Steps of the horizon per element of a latent."""


@dataclass(frozen=True)
class TokenizerConfig:
    """Size and training recipe of a `CarpTokenizer`; the defaults are the paper's.

    Attributes:
        dimensions: D, action dimensions.
        horizon: H, steps of an action chunk.
        scales: Tokens of each scale and group, coarse to fine; the last is H/4.
        codes: V, codebook size of a group.
        code_width: C.
        channels: Of a group, at the full horizon.
        multipliers: Channels at half and at a quarter of the horizon, as multiples of `channels`.
        cosine: Pick the code with the closest direction; else the closest code.
        commitment: Weight of the commitment loss, which keeps latents near their codes.
        codebook_decay: None trains the codebook by gradient, as in the paper; else codes are moving
            averages of the vectors assigned to them, with this decay per batch.
        restart_below: Restart a code that is used less often than this share of uniform use; 0, as
            in the paper, leaves dead codes dead.
        joint: One VQ-VAE of all dimensions, with one token for each position of a scale; else, as
            in the paper, one per dimension. It needs wider channels and codes to represent as much.
    """

    dimensions: Annotated[int, Between(1, 100)] = 10
    horizon: Annotated[int, Between(COMPRESSION, 400)] = 16
    scales: Annotated[tuple[int, ...], Sized(1, 16), Between(1, 100)] = (1, 2, 3, 4)
    codes: Annotated[int, Between(1, 100_000)] = 512
    code_width: Annotated[int, Between(1, 1000)] = 8
    channels: Annotated[int, Between(1, 1000)] = 2
    multipliers: Annotated[tuple[int, int], Between(1, 100)] = (2, 4)
    cosine: bool = True
    commitment: Annotated[float, Between(0.0, 1000.0)] = 0.25
    codebook_decay: Annotated[float, Between(0.0, 0.999999)] | None = None
    restart_below: Annotated[float, Between(0.0, 0.999999)] = 0.0
    joint: bool = False

    def __post_init__(self) -> None:
        if self.horizon % COMPRESSION:
            raise ValueError(f"horizon is {self.horizon}; expected a multiple of {COMPRESSION}")
        if not self.scales or self.scales[-1] != self.latent_length:
            raise ValueError(
                f"scales are {self.scales}; expected the last to be {self.latent_length},"
                f" a quarter of the horizon {self.horizon}"
            )
        if min(self.scales) < 1 or max(self.scales) > self.latent_length:
            raise ValueError(f"scales are {self.scales}; expected 1 to {self.latent_length} each")
        if len(self.multipliers) != 2:
            raise ValueError(f"multipliers are {self.multipliers}; expected 2, one a halving")

    @property
    def latent_length(self) -> int:
        """L."""
        return self.horizon // COMPRESSION

    @property
    def groups(self) -> int:
        """G."""
        return 1 if self.joint else self.dimensions

    @property
    def tokens(self) -> int:
        """N, the tokens of one chunk."""
        return self.groups * sum(self.scales)


class TokenizerLoss(NamedTuple):
    """Losses of one training step."""

    loss: Tensor
    """To minimise: both losses, summed over groups, as if G tokenizers were trained separately."""
    reconstruction: Tensor
    """Of shape (B, H, D)."""
    reconstruction_loss: Tensor
    """Mean squared error of each dimension, of shape (D,)."""
    quantization_loss: Tensor
    """Distance between latents and codes in each group, of shape (G,)."""
    tokens: Tensor
    """Int64, of shape (B, N)."""


class CarpTokenizer(nn.Module):
    """Multi-scale VQ-VAE of each action dimension, or one of all of them."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        self.quantizer = MultiScaleQuantizer(
            config.groups, config.scales, config.codes, config.code_width, config.cosine
        )
        self.decoder = _decoder(config)
        self.upkeep = None
        if config.codebook_decay is not None or config.restart_below > 0.0:
            self.upkeep = CodebookUpkeep(
                self.quantizer.codebook, config.codebook_decay, config.restart_below
            )

    @property
    def slices(self) -> list[slice]:
        """The slice of each scale's tokens within all N."""
        return self.quantizer.slices

    def encode(self, actions: Tensor) -> Tensor:
        """Return the latent, (B, G, C, L), of actions (B, H, D)."""
        return self.encoder(actions.transpose(1, 2)).unflatten(1, (self.config.groups, -1))

    def decode(self, latent: Tensor) -> Tensor:
        """Return the actions, (B, H, D), of a latent (B, G, C, L)."""
        return self.decoder(latent.flatten(1, 2)).transpose(1, 2)

    def quantize(self, latent: Tensor) -> Quantized:
        """Return the tokens of a latent (B, G, C, L) and the latents they decode to."""
        return self.quantizer.quantize(latent)

    def tokenize(self, actions: Tensor) -> Tensor:
        """Return the tokens, int64 (B, N), of actions (B, H, D)."""
        return self.quantize(self.encode(actions)).tokens

    def latents_from_tokens(self, tokens: Tensor) -> Tensor:
        """Return the latents after each scale, (B, K, G, C, L), of tokens (B, N)."""
        return self.quantizer.latents_from_tokens(tokens)

    def empty_latent(self, batch: int) -> Tensor:
        """Return the latent before the first scale, zeros of shape (B, G, C, L)."""
        return self.quantizer.empty_latent(batch)

    def add_scale(self, k: int, latent: Tensor, tokens: Tensor) -> Tensor:
        """Return the latent (B, G, C, L) with the tokens (B, G l) of scale `k` added."""
        return self.quantizer.add_scale(k, latent, tokens)

    def add_mean(self, k: int, latent: Tensor, logits: Tensor, sharpness: float) -> Tensor:
        """Return the latent plus the mean code of scale `k`, see `MultiScaleQuantizer.add_mean`."""
        return self.quantizer.add_mean(k, latent, logits, sharpness)

    def next_input(self, k: int, latent: Tensor) -> Tensor:
        """Return the transformer's input for scale `k`, from 1 on, (B, G l, C).

        Args:
            k: The scale.
            latent: After the scale before it, of shape (B, G, C, L).
        """
        return self.quantizer.next_input(k, latent)

    def scale_inputs(self, latents: Tensor) -> Tensor:
        """Return the transformer's inputs for all scales but the first, (B, N - G l_0, C).

        Args:
            latents: After each scale, of shape (B, K, G, C, L).
        """
        inputs = [self.next_input(k, latents[:, k - 1]) for k in range(1, len(self.slices))]
        return (
            torch.cat(inputs, dim=1)
            if inputs
            else latents.new_zeros(len(latents), 0, self.config.code_width)
        )

    def forward(self, actions: Tensor) -> TokenizerLoss:
        """Return the losses for actions (B, H, D); in training mode, also update the codebook."""
        latent = self.encode(actions)
        tokens, latents = quantized = self.quantize(latent)
        # straight-through estimator: the decoder gets codes, its gradient goes to the encoder
        reconstruction = self.decode(latent + (latents[:, -1] - latent).detach())
        reconstruction_loss = (reconstruction - actions).square().mean(dim=(0, 1))
        codes_away = (latents - latent.detach()[:, None]).square().mean(dim=(0, 1, 3, 4))
        latents_away = (latents.detach() - latent[:, None]).square().mean(dim=(0, 1, 3, 4))
        quantization_loss = codes_away + self.config.commitment * latents_away
        if self.training and self.upkeep is not None:
            codebook = self.quantizer.codebook
            self.upkeep(codebook, *self.quantizer.assigned(latent.detach(), quantized))
        by_group = reconstruction_loss.unflatten(0, (self.config.groups, -1)).mean(dim=1)
        loss = (by_group + quantization_loss).sum()
        return TokenizerLoss(loss, reconstruction, reconstruction_loss, quantization_loss, tokens)


def _encoder(config: TokenizerConfig) -> nn.Sequential:
    """Return the network from (B, D, H) to (B, G C, L)."""
    g, width = config.groups, config.code_width
    full = config.channels
    half, quarter = (full * multiplier for multiplier in config.multipliers)
    return nn.Sequential(
        OrderedDict(
            conv_in=grouped_conv(g, config.dimensions // g, full),
            block_1=ResidualBlock(g, full, half),
            down_1=Downsample(g, half),
            block_2=ResidualBlock(g, half, half),
            block_3=ResidualBlock(g, half, quarter),
            down_2=Downsample(g, quarter),
            block_4=ResidualBlock(g, quarter, quarter),
            norm_out=grouped_norm(g, quarter),
            activation=nn.SiLU(),
            conv_out=grouped_conv(g, quarter, width),
            to_latent=grouped_conv(g, width, width, taps=9),
        )
    )


def _decoder(config: TokenizerConfig) -> nn.Sequential:
    """Return the network from (B, G C, L) to (B, D, H)."""
    g, width = config.groups, config.code_width
    full = config.channels
    half, quarter = (full * multiplier for multiplier in config.multipliers)
    return nn.Sequential(
        OrderedDict(
            from_latent=grouped_conv(g, width, width, taps=9),
            norm_in=grouped_norm(g, width),
            activation=nn.SiLU(),
            conv_in=grouped_conv(g, width, quarter),
            block_1=ResidualBlock(g, quarter, quarter),
            up_1=Upsample(g, quarter),
            block_2=ResidualBlock(g, quarter, half),
            block_3=ResidualBlock(g, half, half),
            up_2=Upsample(g, half),
            block_4=ResidualBlock(g, half, full),
            conv_out=grouped_conv(g, full, config.dimensions // g),
        )
    )
