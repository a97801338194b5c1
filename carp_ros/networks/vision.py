"""Image encoders, trained from scratch, and the crops they take.

`ResNetEncoder` is the image encoder that CARP's published image policy takes from robomimic:
ResNet-18 with GroupNorm, spatial softmax, a linear layer. `SmallEncoder` needs a fiftieth of the
arithmetic, for machines without a GPU.

Shapes: B batch, images uint8 (B, H, W, 3), crops float (B, 3, h, w) in [-1, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_KEYPOINTS = 32
_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # channels, first stride
_CHANNELS_A_GROUP = 16


def center_crop(images: Tensor, size_px: tuple[int, int]) -> Tensor:
    """Return the centre crop of images, in the encoders' format.

    Args:
        images: uint8 of shape (B, H, W, 3).
        size_px: Width and height of the crop.
    """
    width, height = size_px
    top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
    # scaled before cropping: some runtimes accept bytes but can't slice them
    return _scaled(images)[:, :, top : top + height, left : left + width]


def random_crop(images: Tensor, corners: Tensor, size_px: tuple[int, int]) -> Tensor:
    """Return a crop of each image, in the encoders' format, each at its own place.

    Args:
        images: uint8 of shape (B, H, W, 3).
        corners: Top and left of each crop in [px], int64 of shape (B, 2).
        size_px: Width and height of the crops.
    """
    width, height = size_px
    device = images.device
    rows = corners[:, :1].to(device) + torch.arange(height, device=device)  # (B, h)
    columns = corners[:, 1:].to(device) + torch.arange(width, device=device)  # (B, w)
    each = torch.arange(len(images), device=device)
    return _scaled(images[each[:, None, None], rows[:, :, None], columns[:, None, :]])


def cell_places(size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return x and y in [-1, 1] of each cell, (rows * columns,), of so many rows and columns."""
    y, x = torch.meshgrid(*(torch.linspace(-1.0, 1.0, n) for n in size), indexing="ij")
    return x.reshape(-1), y.reshape(-1)


class SpatialSoftmax(nn.Module):
    """Finds where feature maps are active: the expected position under a softmax over each map.

    Source: Levine et al., "End-to-End Training of Deep Visuomotor Policies" (2016).

    Args:
        channels: Of the input.
        size: Height and width of the input.
        keypoints: Number of maps, made from the input by a 1x1 convolution.
    """

    x: Tensor
    y: Tensor

    def __init__(self, channels: int, size: tuple[int, int], keypoints: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(channels, keypoints, 1)
        x, y = cell_places(size)
        self.register_buffer("x", x, persistent=False)
        self.register_buffer("y", y, persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return each keypoint's (x, y) in [-1, 1], (B, keypoints, 2), of features (B, C, h, w)."""
        attention = self.maps(features).flatten(2).float().softmax(dim=-1)  # (B, keypoints, h w)
        return torch.stack(((attention * self.x).sum(-1), (attention * self.y).sum(-1)), dim=-1)


class ResNetEncoder(nn.Module):
    """ResNet-18 with GroupNorm, 32 keypoints, a linear layer and a ReLU.

    Args:
        size_px: Width and height of the crops.
        width: Number of features.
    """

    def __init__(self, size_px: tuple[int, int], width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
            _norm(64),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
        channels = 64
        for out, stride in _STAGES:
            layers += [ResNetBlock(channels, out, stride), ResNetBlock(out, out, 1)]
            channels = out
        self.trunk = nn.Sequential(*layers)
        size = (_fifth(size_px[1]), _fifth(size_px[0]))
        self.pool = SpatialSoftmax(channels, size, _KEYPOINTS)
        self.out = nn.Linear(2 * _KEYPOINTS, width)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.trunc_normal_(module.weight, std=0.02)

    def forward(self, crops: Tensor) -> Tensor:
        """Return features (B, width) of crops (B, 3, h, w)."""
        return F.relu(self.out(self.pool(self.trunk(crops)).flatten(1)))


class ResNetBlock(nn.Module):
    """ResNet's basic block, with GroupNorm."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.norm_1 = _norm(channels_out)
        self.conv_2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm_2 = _norm(channels_out)
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), _norm(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C_out, h/stride, w/stride) from (B, C_in, h, w)."""
        y = F.relu(self.norm_1(self.conv_1(x)))
        return F.relu(self.shortcut(x) + self.norm_2(self.conv_2(y)))


class SmallEncoder(nn.Module):
    """Four convolutions to a quarter of the size, then where features are high, and how high.

    Args:
        size_px: Width and height of the crops, multiples of 4.
        width: Number of features.
    """

    def __init__(self, size_px: tuple[int, int], width: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_convolution(3, 32, 5, 2),
            *_convolution(32, 48, 3, 2),
            *_convolution(48, 64, 3, 1),
            *_convolution(64, 64, 3, 1),
        )
        self.pool = SpatialSoftmax(64, (size_px[1] // 4, size_px[0] // 4), 2 * _KEYPOINTS)
        self.out = nn.Linear(4 * _KEYPOINTS + 64, width)

    def forward(self, crops: Tensor) -> Tensor:
        """Return features (B, width) of crops (B, 3, h, w)."""
        features = self.trunk(crops.contiguous(memory_format=torch.channels_last))
        seen = torch.cat((self.pool(features).flatten(1), features.amax(dim=(2, 3))), dim=1)
        return F.relu(self.out(seen))


def _convolution(
    channels_in: int, channels_out: int, kernel: int, stride: int
) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False)
    return conv, _norm(channels_out), nn.ReLU()


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // _CHANNELS_A_GROUP, channels)


def _fifth(size_px: int) -> int:
    """Return the side length after the five halvings of ResNet-18, each rounded up."""
    for _ in range(5):
        size_px = (size_px + 1) // 2
    return size_px


def _scaled(images: Tensor) -> Tensor:
    """Return uint8 images (B, h, w, 3) as float images (B, 3, h, w) in [-1, 1]."""
    return images.float().permute(0, 3, 1, 2) * (2.0 / 255.0) - 1.0
