"""Rotations as vectors along the axis with the angle as length, and as rot6d.

rot6d: the first two columns of the rotation matrix, as in `carp_ros.inference.layout`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SMALL_RAD = 1e-4  # below it, series take the place of quotients that lose precision


def matrices_from_rot6d(rot6d: Tensor) -> Tensor:
    """Return the Gram-Schmidt frames (..., 3, 3) of rot6d (..., 6)."""
    x = F.normalize(rot6d[..., :3], dim=-1)
    y = rot6d[..., 3:]
    y = F.normalize(y - x * (x * y).sum(dim=-1, keepdim=True), dim=-1)
    z = torch.stack(
        (
            x[..., 1] * y[..., 2] - x[..., 2] * y[..., 1],
            x[..., 2] * y[..., 0] - x[..., 0] * y[..., 2],
            x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0],
        ),
        dim=-1,
    )
    return torch.stack((x, y, z), dim=-1)


def rot6d_from_matrices(matrices: Tensor) -> Tensor:
    """Return the rot6d (..., 6) of rotation matrices (..., 3, 3)."""
    return matrices[..., :2].transpose(-1, -2).flatten(-2)


def matrices_from_vectors(vectors: Tensor) -> Tensor:
    """Return the rotation matrices (..., 3, 3) of rotation vectors (..., 3) (Rodrigues)."""
    square = (vectors * vectors).sum(dim=-1)[..., None, None]
    angle = square.clamp(min=_SMALL_RAD**2).sqrt()
    small = square < _SMALL_RAD**2
    sine = torch.where(small, 1.0 - square / 6.0, angle.sin() / angle)
    # (1 - cos a) / a^2 without cancellation
    cosine = torch.where(
        small, 0.5 - square / 24.0, 0.5 * ((0.5 * angle).sin() / (0.5 * angle)) ** 2
    )
    x, y, z = vectors.unbind(dim=-1)
    zero = torch.zeros_like(x)
    rows = (zero, -z, y, z, zero, -x, -y, x, zero)
    cross = torch.stack(rows, dim=-1).unflatten(-1, (3, 3))
    return torch.eye(3, device=vectors.device) + sine * cross + cosine * (cross @ cross)


def vectors_from_matrices(matrices: Tensor) -> Tensor:
    """Return the rotation vectors (..., 3), of length 0 to pi, of rotation matrices (..., 3, 3)."""
    m = matrices
    twice_sine = torch.stack(
        (m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]), -1
    )
    trace = m.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    angle = torch.atan2(twice_sine.norm(dim=-1), trace - 1.0)[..., None]
    gain = torch.where(
        angle < _SMALL_RAD, 0.5 + angle**2 / 12.0, 0.5 * angle / angle.sin().clamp(min=1e-12)
    )
    # near half a turn the antisymmetric part vanishes: the axis is a column of the rest, which is
    # (1 - cos a) times its outer product
    cosine = 0.5 * (trace - 1.0)[..., None, None]
    symmetric = 0.5 * (m + m.transpose(-1, -2)) - cosine * torch.eye(3, device=m.device)
    largest = symmetric.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)[..., None, None]
    column = symmetric.gather(-1, largest.expand(*symmetric.shape[:-1], 1))[..., 0]
    axis = F.normalize(column, dim=-1)
    sign = torch.where((axis * twice_sine).sum(-1, keepdim=True) < 0.0, -1.0, 1.0)
    return torch.where(angle > torch.pi - 0.01, sign * angle * axis, gain * twice_sine)
