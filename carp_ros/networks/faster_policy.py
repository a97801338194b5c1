"""FASTer's policy as it is trained and exported: cameras, state and instruction in, actions out.

Scaling and the prompt's form are part of the network, so that callers can't get them wrong. Beyond
the paper, the steps to which an arm is already committed when a plan begins can be an input of it:
while the network computes, the arm goes on with its old plan, and a new one should continue that
(training-time delay conditioning, as of Black et al., arXiv:2512.05964).

Shapes: B batch, V cameras, S numbers of a state, P committed steps at most, A numbers of an action,
D of a normalised one, N tokens of a chunk, H horizon.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from carp_ros.inference.prompt import Ids, WordPrompts
from carp_ros.networks.backbone import BackboneShape, KeysValues
from carp_ros.networks.faster_vla import Context, Embedded, FasterVla
from carp_ros.networks.numbers_tokenizer import NumbersTokenizer
from carp_ros.networks.scaling import Scaling

_INIT_STD = 0.02
_SKETCH_WIDTH = 256


class FasterPolicyNetwork(nn.Module):
    """Maps images, state and instruction to the tokens of a chunk, and those to actions.

    Args:
        cameras: Their names, in the backbone's order.
        vla: Backbone and action expert.
        tokenizer: Already trained; frozen here.
        prompts: Makes the prompt's tokens.
        instructions: In training, by task index.
        sizes: S and A.
        committed: P; 0 for a network without that input.
        sketch: Image tokens V T that a sketch is made of, see `Sketch`; 0 for no sketch.
        sharpness: Plans are means over the codes by their probability to this power; 0 for the
            likeliest codes alone, as in the paper.
    """

    def __init__(
        self,
        cameras: tuple[str, ...],
        vla: FasterVla,
        tokenizer: NumbersTokenizer,
        prompts: WordPrompts,
        instructions: tuple[str, ...],
        sizes: tuple[int, int],
        committed: int = 0,
        sketch: int = 0,
        sharpness: float = 0.0,
    ) -> None:
        super().__init__()
        self.cameras, self.prompts, self.instructions = cameras, prompts, instructions
        state_size, self.action_size = sizes
        self.vla = vla
        self.tokenizer = tokenizer.requires_grad_(False)
        self.state_scaling, self.sharpness = Scaling(state_size), sharpness
        width = vla.backbone.shape.width
        self.commitment = None
        if committed:
            self.commitment = Commitment(tokenizer.dimensions, committed, width)
        self.sketch = None
        if sketch:
            shape = (tokenizer.config.horizon, tokenizer.dimensions)
            hint = (vla.expert.config.block, vla.expert.config.width)
            self.sketch = Sketch(vla.backbone.shape, sketch, shape, state_size, hint)

    def train(self, mode: bool = True) -> FasterPolicyNetwork:
        """Set the mode of every part but the frozen tokenizer."""
        super().train(mode)
        self.tokenizer.eval()
        return self

    def text(self, instructions: Ids, states: Tensor) -> Tensor:
        """Return the prompts' tokens, (B, L).

        Args:
            instructions: From `prompts.instruction`, of shape (B, n).
            states: Measured, in SI units, of shape (B, S).
        """
        scaled = self.state_scaling(states).cpu().numpy()
        return torch.from_numpy(self.prompts.prompts(instructions, scaled)).to(states.device)

    def context(
        self,
        images: dict[str, Tensor],
        text: Tensor,
        states: Tensor,
        committed: tuple[Tensor, Tensor] | None = None,
    ) -> Context:
        """Return the context of an observation; see `sketched`."""
        return self.sketched(images, text, states, committed)[0]

    def sketched(
        self,
        images: dict[str, Tensor],
        text: Tensor,
        states: Tensor,
        committed: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Context, Sketched | None]:
        """Return the context of an observation, and the sketch, if there is one.

        Args:
            images: By camera, RGB in [-1, 1], cropped, of shape (B, 3, h, w).
            text: The prompts, from `text`.
            states: Measured, in SI units, of shape (B, S).
            committed: Actions in SI units, (B, P, A), from the observation on, and how many of them
                are fixed, (B,); None for none.
        """
        views = torch.stack([images[name] for name in self.cameras], dim=1)
        context = self.vla.context(views, text, self.committed(states, committed))
        if self.sketch is None:
            return context, None
        sketched = self.sketch(context.known, self.state_scaling(states))
        return context._replace(hint=self.sketch.hint(sketched)), sketched

    def plans(self, context: Context, states: Tensor) -> list[Tensor]:
        """Return the actions, (B, H, A), after each of the tokenizer's levels, decoded greedily.

        Args:
            context: From `context`.
            states: Measured, in SI units, of shape (B, S).
        """
        tokenizer, chunk = self.tokenizer, self.tokenizer.chunk_tokens
        if self.sharpness:
            said, decode = self.vla.shares(context, self.sharpness), tokenizer.decode_shares
        else:
            said, decode = self.vla.generate(context), tokenizer.decode
        a_level = chunk.tokens // chunk.levels
        return [decode(said[:, : a_level * (1 + level)], states) for level in range(chunk.levels)]

    def committed(self, states: Tensor, given: tuple[Tensor, Tensor] | None) -> Embedded | None:
        """Return the tokens of committed actions, see `context`; None without that input."""
        if self.commitment is None:
            return None
        if given is None:
            return self.commitment.nothing(len(states))
        actions, count = given
        return self.commitment(self.tokenizer.normalised(actions, states), count)


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
            nn.Linear((2 * seen + shape.layers) * value + state, _SKETCH_WIDTH),
            nn.GELU(),
            nn.Linear(_SKETCH_WIDTH, _SKETCH_WIDTH),
            nn.GELU(),
            nn.Linear(_SKETCH_WIDTH, self._numbers + state),
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


class Commitment(nn.Module):
    """Embeds the steps that an arm is committed to, one token a step.

    Args:
        numbers: D, of a normalised action.
        steps: P.
        width: d, of the tokens.
    """

    def __init__(self, numbers: int, steps: int, width: int) -> None:
        super().__init__()
        self.steps = steps
        self.embed = nn.Linear(numbers, width)
        self.place = nn.Parameter(_INIT_STD * torch.randn(steps, width))

    def forward(self, normalised: Tensor, count: Tensor) -> Embedded:
        """Return the tokens of normalised actions (B, P, D), of which `count` (B,) are fixed."""
        steps = torch.arange(self.steps, device=count.device)
        return Embedded(self.embed(normalised) + self.place, steps < count[:, None])

    def nothing(self, batch: int) -> Embedded:
        """Return padding."""
        tokens = self.place.expand(batch, -1, -1)
        return Embedded(
            tokens, torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        )
