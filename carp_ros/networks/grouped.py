"""G small networks of equal shape, run as one with grouped convolutions.

Channels are group-major: group g has channels g * c to (g + 1) * c. Split along the first axis into
G equal parts, the g-th part of every parameter therefore belongs to group g.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPS = 1e-6


class GroupedNorm(nn.GroupNorm):
    """Group norm over channels and time that damps the gradient of nearly constant inputs.

    A norm divides by the standard deviation, with a lower bound of 0.001. Where the input is almost
    constant, this multiplies the gradient by up to a thousand per layer until it overflows. The
    output is that of an ordinary norm, and so is the gradient where the standard deviation is at
    least 0.001; below, the gradient is scaled down.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return the norm of (B, G c, T)."""
        if torch.is_grad_enabled() and input.requires_grad:
            known = input.detach()
            variance = known.unflatten(1, (self.num_groups, -1)).flatten(2).var(2, correction=0)
            share = (variance / NORM_EPS).clamp(max=1.0)
            by_channel = share.repeat_interleave(input.shape[1] // self.num_groups, dim=1)
            input = known + by_channel[..., None] * (input - known)
        return super().forward(input)


def grouped_norm(groups: int, channels: int) -> GroupedNorm:
    """Return a group norm over channels and time."""
    return GroupedNorm(groups, groups * channels, eps=NORM_EPS)


def grouped_conv(
    groups: int, channels_in: int, channels_out: int, kernel: int = 3, taps: int | None = None
) -> nn.Conv1d:
    """Return a length-preserving convolution over time with the paper's initial weights.

    Args:
        groups: G.
        channels_in: Of one group.
        channels_out: Of one group.
        kernel: Its length in time, odd.
        taps: Number of taps that the initial weights are scaled for, if not `kernel`: the published
            network applies 3 x 3 kernels to sequences, where only 3 of 9 taps meet data.
    """
    conv = nn.Conv1d(
        groups * channels_in,
        groups * channels_out,
        kernel,
        padding=kernel // 2,
        groups=groups,
    )
    initialise(conv, channels_in, channels_out, taps or kernel)
    return conv


def initialise(
    conv: nn.Conv1d | nn.ConvTranspose1d, channels_in: int, channels_out: int, taps: int
) -> None:
    """Set the paper's initial weights: Xavier normal with gain 0.5; no bias."""
    # torch would count the outputs of all groups; each group is a network of its own
    std = 0.5 * (2.0 / ((channels_in + channels_out) * taps)) ** 0.5
    nn.init.normal_(conv.weight, std=std)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)


class Downsample(nn.Conv1d):
    """Halves the length, with one zero of padding at the end."""

    def __init__(self, groups: int, channels: int) -> None:
        width = groups * channels
        super().__init__(width, width, 3, stride=2, groups=groups)
        initialise(self, channels, channels, 3)

    def forward(self, input: Tensor) -> Tensor:
        """Return (B, G c, T/2) from (B, G c, T)."""
        return super().forward(F.pad(input, (0, 1)))


class Upsample(nn.ConvTranspose1d):
    """Doubles the length."""

    def __init__(self, groups: int, channels: int) -> None:
        width = groups * channels
        super().__init__(width, width, 3, stride=2, padding=1, output_padding=1, groups=groups)
        initialise(self, channels, channels, 3)


class ResidualBlock(nn.Module):
    """Two convolutions, each preceded by norm and SiLU, with a shortcut."""

    def __init__(self, groups: int, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.norm_1 = grouped_norm(groups, channels_in)
        self.conv_1 = grouped_conv(groups, channels_in, channels_out)
        self.norm_2 = grouped_norm(groups, channels_out)
        self.conv_2 = grouped_conv(groups, channels_out, channels_out)
        self.shortcut = (
            nn.Identity()
            if channels_in == channels_out
            else grouped_conv(groups, channels_in, channels_out, kernel=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, G c_out, T) from (B, G c_in, T)."""
        y = self.conv_1(F.silu(self.norm_1(x)))
        y = self.conv_2(F.silu(self.norm_2(y)))
        return self.shortcut(x) + y
