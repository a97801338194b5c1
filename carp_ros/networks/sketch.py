"""A regression beside FASTer's codes, of what the arm will do and where.

Shapes: B batch, H horizon, D numbers of a normalised action, S numbers of a state.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from carp_ros.networks.backbone import BackboneShape, KeysValues

_WIDTH = 256


class Sketched(NamedTuple):
    """What a `Sketch` regressed."""

    actions: Tensor
    """Of the chunk, normalised, (B, H, D)."""
    aim: Tensor
    """The scaled state where the gripper opens or closes next, (B, S)."""


class Sketch(nn.Module):
    """Regresses chunk and aim from what the backbone read, and hints at them to the expert.

    A backbone that is trained from scratch learns where things are from the error of a regression
    sooner than from codes alone: of near codes, none is nearly right. And the aim, where the
    gripper opens or closes next, tells from an episode's first frame on which of the things in the
    image its instruction means. The expert is told the sketch, but its errors don't change it.

    Args:
        shape: Of the backbone.
        seen: Image tokens, the first ones of the context.
        chunk: H and D.
        state: S.
        hint: Tokens of a block, and the expert's width.
    """

    def __init__(
        self,
        shape: BackboneShape,
        seen: int,
        chunk: tuple[int, int],
        state: int,
        hint: tuple[int, int],
    ) -> None:
        super().__init__()
        self._seen, self._chunk, self._hint = seen, chunk, hint
        value = shape.kv_heads * shape.head_width
        self._numbers = chunk[0] * chunk[1]
        self.layers = nn.Sequential(
            nn.Linear((2 * seen + shape.layers) * value + state, _WIDTH),
            nn.GELU(),
            nn.Linear(_WIDTH, _WIDTH),
            nn.GELU(),
            nn.Linear(_WIDTH, self._numbers + state),
        )
        self.to_hint = nn.Linear(self._numbers + state, hint[0] * hint[1])
        nn.init.zeros_(self.to_hint.weight)
        nn.init.zeros_(self.to_hint.bias)

    def forward(self, known: KeysValues, states: Tensor) -> Sketched:
        """Return chunk and aim from the context's keys and values, and scaled states (B, S)."""
        values = [values for _, values in known]  # (B, kv_heads, S, w)
        seen = [values[layer][:, :, : self._seen] for layer in (0, -1)]
        read = [of_layer[:, :, -1:] for of_layer in values]
        found = torch.cat((*seen, *read), dim=2).flatten(1)
        numbers = self.layers(torch.cat((found, states), dim=1))
        actions = numbers[:, : self._numbers].unflatten(1, self._chunk)
        return Sketched(actions, numbers[:, self._numbers :])

    def hint(self, sketched: Sketched) -> Tensor:
        """Return what to add to the inputs of each of the expert's blocks, (B, block, width)."""
        numbers = torch.cat((sketched.actions.flatten(1), sketched.aim), dim=1)
        return self.to_hint(numbers.detach()).unflatten(1, self._hint)
