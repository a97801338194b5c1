"""Linear maps of short sequences as constant matrices, so that exported graphs need not compute it.

L is the length of a latent, l that of one scale, l <= L.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn import functional

CUBIC_SHARPNESS = -0.75
"""The free parameter of the cubic kernel, as in PyTorch's bicubic interpolation."""


def pooling_matrix(length: int, bins: int) -> Tensor:
    """Return the matrix of shape (bins, length) that averages a sequence over bins.

    Bin i takes the elements from floor(i L / l) up to ceil((i + 1) L / l), exclusive; bins overlap
    where l does not divide L (adaptive average pooling).
    """
    matrix = torch.zeros(bins, length)
    for i in range(bins):
        first, end = i * length // bins, -(-(i + 1) * length // bins)
        matrix[i, first:end] = 1.0 / (end - first)
    return matrix


def bicubic_matrix(points: int, length: int) -> Tensor:
    """Return the matrix of shape (length, points) that upsamples a sequence.

    Cubic convolution (R. Keys, 1981) between the centres of equal intervals; beyond either end, the
    end value is repeated.
    """
    matrix = torch.zeros(length, points, dtype=torch.float64)
    for i in range(length):
        centre = (i + 0.5) * points / length - 0.5
        left = int(centre // 1)
        for j in range(left - 1, left + 3):
            matrix[i, min(max(j, 0), points - 1)] += _cubic(abs(centre - j))
    return matrix.float()


@functools.cache
def smooth_bicubic_matrix(points: int, length: int) -> Tensor:
    """Return the matrix of shape (length, points) that resamples a side of an image.

    Cubic convolution that is widened where the image shrinks, so that nothing finer than its pixels
    is left, as in Pillow and PyTorch's antialiasing.
    """
    sides = torch.eye(points, dtype=torch.float64)[None, None]
    size = (length, points)
    return functional.interpolate(sides, size, mode="bicubic", antialias=True)[0, 0].float()


def _cubic(distance: float) -> float:
    """Return the kernel's weight of a point at a distance of 0 to 2."""
    a, x = CUBIC_SHARPNESS, distance
    if x <= 1.0:
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    return ((x - 5.0) * x + 8.0) * a * x - 4.0 * a


def cosine_matrix(length: int) -> Tensor:
    """Return the orthonormal discrete cosine transform (DCT-II) of shape (length, length)."""
    step = torch.arange(length, dtype=torch.float64)
    angle = torch.pi * step[:, None] * (step + 0.5) / length
    matrix = angle.cos() * (2.0 / length) ** 0.5
    matrix[0] /= 2.0**0.5
    return matrix.float()
