"""FASTer's policy as it is trained and exported: cameras, state and instruction in, actions out.

Scaling and the prompt's form are part of the network, so that callers can't get them wrong. Beyond
the paper, the steps to which an arm is already committed when a plan begins can be an input of it:
while the network computes, the arm goes on with its old plan, and a new one should continue that
(training-time delay conditioning, as of Black et al., arXiv:2512.05964).

Shapes: B batch, V cameras, S numbers of a state, P committed steps at most, A numbers of an action,
D of a normalised one, N tokens of a chunk, H horizon.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from carp_ros.inference.prompt import Ids, WordPrompts
from carp_ros.networks.faster_vla import Context, Embedded, FasterVla
from carp_ros.networks.numbers_tokenizer import NumbersTokenizer
from carp_ros.networks.scaling import Scaling
from carp_ros.networks.sketch import Sketch, Sketched

_INIT_STD = 0.02


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
