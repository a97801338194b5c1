"""FASTer's action expert: predicts blocks of action tokens, attending to a backbone's context.

As in pi0 (arXiv:2410.24164), each layer has its own weights and attends to the keys and values of
the backbone's layer of the same depth besides its own. The context never attends to actions, so its
keys and values are computed once an observation.

Tokens: N of a chunk in J blocks of B. Inputs are B copies of a begin token and the blocks, and the
state at position i of one block predicts position i of the next (arXiv:2512.04952, eq. 3): a block
attends to itself, and to all before it, without seeing what it predicts.

Shapes: Bt batch, S tokens of the context, K codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from carp_ros.networks.attention import JointLayer, RootMeanSquareNorm
from carp_ros.networks.backbone import BackboneShape, KeysValues
from carp_ros.strict import Between

SPACING = 2
"""Between the positions of action tokens in use; in training it varies."""
_MOST_JITTER = 2
_INIT_STD = 0.02


@dataclass(frozen=True)
class ExpertConfig:
    """Sizes of an `ActionExpert`.

    Attributes:
        codes: K, ids that a token may have.
        tokens: N.
        block: B; 1 predicts token by token.
        width, hidden: Of the expert's layers.
        levels: Tables of K ids each: 1 shares one among all blocks, else block j has the table
            `j * levels // J`.
    """

    codes: Annotated[int, Between(2, 1_000_000)]
    tokens: Annotated[int, Between(1, 10_000)]
    block: Annotated[int, Between(1, 1000)]
    width: Annotated[int, Between(8, 16_384)]
    hidden: Annotated[int, Between(8, 65_536)]
    levels: Annotated[int, Between(1, 16)] = 1

    def __post_init__(self) -> None:
        if self.tokens % self.block:
            raise ValueError(
                f"block is {self.block}; expected a divisor of the {self.tokens} tokens of a chunk"
            )

    @property
    def blocks(self) -> int:
        """J."""
        return self.tokens // self.block


class ActionExpert(nn.Module):
    """Predicts the tokens of a chunk block by block."""

    def __init__(self, shape: BackboneShape, config: ExpertConfig) -> None:
        super().__init__()
        self.shape, self.config = shape, config
        ids = config.levels * config.codes
        self.begin_id, self.end_id = ids, ids + 1
        self.table = nn.Embedding(ids + 2, config.width)
        self.layers = nn.ModuleList(
            JointLayer(shape, config.width, config.hidden) for _ in range(shape.layers)
        )
        self.norm = RootMeanSquareNorm(config.width)
        self._initialise()

    def teach(
        self,
        tokens: Tensor,
        context: KeysValues,
        is_real: Tensor,
        first: Tensor,
        hint: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the logits of all blocks at once, and of the end after the last.

        Args:
            tokens: Of the demonstrated chunks, (Bt, N).
            context: Of the backbone.
            is_real: Which tokens of the context are no padding, (Bt, S).
            first: Position of the context's last token, (Bt,).
            hint: Added to the inputs of every block, (Bt, B, width); None for nothing.

        Returns:
            Logits of the codes, (Bt, N, K), and of all ids after the last block, (Bt, B, ids).
        """
        inputs = torch.cat((self._begin(len(tokens)), self._ids(tokens)), dim=1)
        positions = first[:, None] + self._offsets(len(inputs), inputs.shape[1])
        mask = block_mask(is_real, self.config.blocks + 1, self.config.block)
        hints = None if hint is None else hint.repeat(1, self.config.blocks + 1, 1)
        hidden, _ = self._run(inputs, positions, mask, context, hints)
        logits = hidden @ self.table.weight.T
        block = self.config.block
        return self._codes(logits[:, :-block]), logits[:, -block:]

    def step(
        self,
        block: int,
        tokens: Tensor,
        known: KeysValues,
        is_real: Tensor,
        first: Tensor,
        hint: Tensor | None = None,
    ) -> tuple[Tensor, KeysValues]:
        """Return the logits of one block, and the keys and values to know at the next.

        Args:
            block: Its number, from 0.
            tokens: Of the block before it, (Bt, B); of any value for block 0.
            known: Of the context and of earlier steps, in this order.
            is_real: Which tokens of the context are no padding, (Bt, S).
            first: Position of the context's last token, (Bt,).
            hint: As in `teach`.

        Returns:
            Logits of shape (Bt, B, K), and `known` with those of this step.
        """
        size = self.config.block
        inputs = self._begin(len(tokens)) if block == 0 else self._ids(tokens, block - 1)
        offsets = SPACING * torch.arange(1 + block * size, 1 + (block + 1) * size)
        positions = first[:, None] + offsets.to(first.device)
        earlier = is_real.new_ones(len(is_real), (block + 1) * size)
        mask = torch.cat((is_real, earlier), 1)[:, None].expand(-1, size, -1)
        hidden, own = self._run(inputs, positions, mask, known, hint)
        logits = self._codes(hidden @ self.table.weight.T, block)
        joined = [
            (torch.cat((keys, k), dim=2), torch.cat((values, v), dim=2))
            for (keys, values), (k, v) in zip(known, own)
        ]
        return logits, joined

    def _run(
        self,
        inputs: Tensor,
        positions: Tensor,
        mask: Tensor,
        known: KeysValues,
        hints: Tensor | None,
    ) -> tuple[Tensor, KeysValues]:
        x, own = self.table(inputs), []
        if hints is not None:
            x = x + hints
        for layer, pair in zip(self.layers, known, strict=True):
            x, keys_values = layer(x, positions, mask, pair)
            own.append(keys_values)
        return self.norm(x), own

    def _begin(self, batch: int) -> Tensor:
        return torch.full(
            (batch, self.config.block), self.begin_id, device=self.table.weight.device
        )

    def _ids(self, tokens: Tensor, block: int | None = None) -> Tensor:
        """Return the ids of tokens of one block, or of all, (Bt, N)."""
        return tokens + self.config.codes * self._tables(tokens.device, block)

    def _codes(self, logits: Tensor, block: int | None = None) -> Tensor:
        """Return the part of the logits (Bt, n, ids) that codes have in one block, or in all."""
        codes = self.config.codes
        if self.config.levels == 1:
            return logits[..., :codes]
        tables = self._tables(logits.device, block).expand(logits.shape[1])
        which = codes * tables[:, None] + torch.arange(codes, device=logits.device)
        return logits.gather(-1, which.expand(len(logits), -1, -1))

    def _tables(self, device: torch.device, block: int | None) -> Tensor:
        """Return which table each token of one block, or of all, takes."""
        config = self.config
        blocks = torch.arange(config.blocks, device=device) if block is None else block
        tables = torch.as_tensor(blocks, device=device) * config.levels // config.blocks
        return tables.repeat_interleave(config.block) if block is None else tables[None]

    def _offsets(self, batch: int, count: int) -> Tensor:
        """Return positions behind the context's last, (batch, count); at random in training."""
        device = self.table.weight.device
        if not self.training:
            return SPACING * torch.arange(1, count + 1, device=device).expand(batch, -1)
        steps = 1 + torch.randint(_MOST_JITTER + 1, (batch, count), device=device)
        return steps.cumsum(dim=1)

    def _initialise(self) -> None:
        for name, weight in self.named_parameters():
            if weight.ndim > 1:
                narrow = name.endswith(("to_out.weight", "to_width.weight"))
                std = _INIT_STD / (2 * self.shape.layers) ** 0.5 if narrow else _INIT_STD
                nn.init.normal_(weight, std=std)


def block_mask(is_real: Tensor, blocks: int, size: int) -> Tensor:
    """Return which keys action tokens attend to, bool (Bt, blocks size, S + blocks size).

    Args:
        is_real: Which tokens of the context are no padding, (Bt, S).
        blocks: Of inputs, the begin tokens included.
        size: B.
    """
    number = torch.arange(blocks, device=is_real.device).repeat_interleave(size)
    own = number[None, :] <= number[:, None]
    context = is_real[:, None, :].expand(-1, len(number), -1)
    return torch.cat((context, own.expand(len(is_real), -1, -1)), dim=-1)
