"""Gripper commands as one token: which of all sequences with few changes it is.

A VQ autoencoder loses some of the gripper's changes, above all near the ends of a chunk, because a
step or two cost little under an L1 loss. Sequences of open and closed with at most a few changes
are few enough to be listed, and their token is exact.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn


class GripperRule(nn.Module):
    """Lists the sequences of open (-1) and closed (1), and finds them.

    Args:
        horizon: H, steps of a sequence.
        codes: Length of the list at most. Sequences with as many changes as fit are listed.

    Raises:
        ValueError: If not even the sequences with one change fit.
    """

    sequences: Tensor

    def __init__(self, horizon: int, codes: int) -> None:
        super().__init__()
        listed: list[list[float]] = []
        for changes in range(horizon):
            more = [
                _sequence(horizon, start, at)
                for start in (-1.0, 1.0)
                for at in combinations(range(1, horizon), changes)
            ]
            if len(listed) + len(more) > codes:
                break
            listed += more
            self.changes = changes
            """Changes that every sequence may have."""
        if len(listed) < min(2 * horizon, codes + 1):
            raise ValueError(
                f"{codes} codes; expected at least {2 * horizon}, one for each change of a gripper"
                f" within {horizon} steps"
            )
        self.register_buffer("sequences", torch.tensor(listed), persistent=False)

    def tokenize(self, commands: Tensor) -> Tensor:
        """Return the token, int64 (B,), of the sequence that most steps of (B, H) agree with."""
        signs = torch.where(commands > 0.0, 1.0, -1.0)
        return (signs @ self.sequences.T).argmax(dim=-1)

    def detokenize(self, tokens: Tensor) -> Tensor:
        """Return the sequences, (B, H); tokens beyond the list hold the last one's."""
        return self.sequences[tokens.clamp(max=len(self.sequences) - 1)]


def _sequence(horizon: int, start: float, changes: tuple[int, ...]) -> list[float]:
    sign, sequence = start, []
    for step in range(horizon):
        sign = -sign if step in changes else sign
        sequence.append(sign)
    return sequence
