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

from carp_ros.networks.rotation_vectors import matrices_from_rot6d, rot6d_from_matrices

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
    return torch.cat((positions, rot6d_from_matrices(rotations), actions[..., _REST]), dim=-1)


def _matrices(vectors: Tensor) -> Tensor:
    return matrices_from_rot6d(vectors[..., _ROTATION])
