"""G small networks of equal shape, run as one by grouped convolutions.

Channels are group-major: those of group g are g * c to (g + 1) * c. The network of one group is
therefore the g-th G-th of every parameter along its first axis.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPS = 1e-6


class GroupedNorm(nn.GroupNorm):
    """A norm over channels and time of each group, from which what is nearly constant learns less.

    A norm divides by a standard deviation, and by a thousandth at least. Where the input has next
    to none, its gradient grows a thousandfold, layer by layer, until no number holds it: there is
    nothing to learn from a deviation that is not there. What comes out is what any norm gives, and
    so is the gradient from a standard deviation of a thousandth on.
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
    """Return a norm over channels and time of each group."""
    return GroupedNorm(groups, groups * channels, eps=NORM_EPS)


def grouped_conv(
    groups: int, channels_in: int, channels_out: int, kernel: int = 3, taps: int | None = None
) -> nn.Conv1d:
    """Return a convolution over time that keeps the length, with the paper's initial weights.

    Args:
        groups: G.
        channels_in: Of one group.
        channels_out: Of one group.
        kernel: Its length in time, odd.
        taps: Weights of a kernel that the initial weights are scaled for, if that is not `kernel`:
            the published network has 3 x 3 kernels on sequences, of which only 3 meet data.
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
    """Give a convolution the paper's initial weights: Xavier, normal, gain 0.5; no bias."""
    # torch counts the outputs of all groups; each group is a network of its own
    std = 0.5 * (2.0 / ((channels_in + channels_out) * taps)) ** 0.5
    nn.init.normal_(conv.weight, std=std)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)


class Downsample(nn.Conv1d):
    """Halves the length; the padding is one zero at the end."""

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
    """Two convolutions, each after norm and SiLU, around a shortcut."""

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
