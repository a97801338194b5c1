"""Actions relative to the measured tool pose, and back.

A relative plan begins near zero wherever the tool is: the same tokens mean the same motion
everywhere, and no wrong token can make the arm jump elsewhere. Positions are differences in the
base frame; rotations turn the measured frame into the planned one, also in the base frame.

Vectors have the layout of `carp_ros.inference.layout`: x y z [m], rot6d (the first two columns of
the rotation matrix), gripper, which is left as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_POSITION, _ROTATION, _REST = slice(0, 3), slice(3, 9), slice(9, None)


def relative(actions: Tensor, states: Tensor) -> Tensor:
    """Return absolute actions (B, H, 10) relative to measured states (B, 10)."""
    here = _matrices(states)[:, None]
    turned = _matrices(actions) @ here.transpose(-1, -2)
    return _joined(actions[..., _POSITION] - states[:, None, _POSITION], turned, actions)


def absolute(actions: Tensor, states: Tensor) -> Tensor:
    """Return relative actions (B, H, 10) in the base frame; the inverse of `relative`."""
    here = _matrices(states)[:, None]
    turned = _matrices(actions) @ here
    return _joined(actions[..., _POSITION] + states[:, None, _POSITION], turned, actions)


def _joined(positions: Tensor, rotations: Tensor, actions: Tensor) -> Tensor:
    rot6d = rotations[..., :2].transpose(-1, -2).flatten(-2)
    return torch.cat((positions, rot6d, actions[..., _REST]), dim=-1)


def _matrices(vectors: Tensor) -> Tensor:
    """Return the Gram-Schmidt frames (..., 3, 3) of vectors (..., 10)."""
    rot6d = vectors[..., _ROTATION]
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
