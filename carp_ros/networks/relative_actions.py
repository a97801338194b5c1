"""Positions as seen from where the tool is, and back.

A plan then begins near zero wherever the tool stands: its tokens say the same motion everywhere,
and no misread token can send the arm elsewhere at once. Rotations stay those of the base frame:
relative ones, tried, added up a small error at each plan until the tool leant.

Vectors are of `carp_ros.inference.layout`, which begins with x y z [m].
"""

from __future__ import annotations

import torch
from torch import Tensor

_POSITION, _REST = slice(0, 3), slice(3, None)


def relative(actions: Tensor, states: Tensor) -> Tensor:
    """Return absolute actions (B, H, 10) as seen from measured states (B, 10)."""
    return _shifted(actions, -states)


def absolute(actions: Tensor, states: Tensor) -> Tensor:
    """Return relative actions (B, H, 10) in the base frame; `relative` undone."""
    return _shifted(actions, states)


def _shifted(actions: Tensor, by: Tensor) -> Tensor:
    positions = actions[..., _POSITION] + by[:, None, _POSITION]
    return torch.cat((positions, actions[..., _REST]), dim=-1)
