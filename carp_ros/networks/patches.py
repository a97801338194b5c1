"""FASTer's patches: an action chunk as an image of time groups by padded physical groups.

FASTer (arXiv:2512.04952), section on the patchifier: the horizon is cut into groups of steps, the
numbers into physical groups such as position, rotation and gripper, each padded with zeros to the
widest. `unpatchify` drops the padding and is the exact inverse.

Shapes: B batch, H = m h horizon, h steps of a time group, D numbers of an action, S slots: groups
times the width of the widest.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Patchifier(nn.Module):
    """Turns chunks into patches and back.

    Args:
        groups: Numbers in each physical group, in the order of the action.
        steps: h.

    Attributes:
        slots: S.
    """

    number_of_slot: Tensor
    slot_of_number: Tensor

    def __init__(self, groups: tuple[int, ...], steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.slots = len(groups) * max(groups)
        numbers = sum(groups)
        slot_of_number = [
            group * max(groups) + i for group, size in enumerate(groups) for i in range(size)
        ]
        number_of_slot = torch.full((self.slots,), numbers)  # that of padding: a zero behind them
        number_of_slot[slot_of_number] = torch.arange(numbers)
        self.register_buffer("number_of_slot", number_of_slot, persistent=False)
        self.register_buffer("slot_of_number", torch.tensor(slot_of_number), persistent=False)

    def patchify(self, actions: Tensor) -> Tensor:
        """Return the patches, (B, m, S, h), of actions (B, H, D)."""
        padded = torch.cat((actions, torch.zeros_like(actions[..., :1])), dim=-1)
        slots = padded[..., self.number_of_slot]  # (B, H, S)
        return slots.unflatten(1, (-1, self.steps)).transpose(2, 3)

    def unpatchify(self, patches: Tensor) -> Tensor:
        """Return the actions, (B, H, D), of patches (B, m, S, h)."""
        slots = patches.transpose(2, 3).flatten(1, 2)  # (B, H, S)
        return slots[..., self.slot_of_number]
