"""FASTer's stage 2: trains the policy on images, states, instructions and true tokens."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from carp_ros.inference.prompt import Ids
from carp_ros.inference.words import PADDING
from carp_ros.networks.faster_actions import FasterActionTokenizer
from carp_ros.networks.faster_policy import FasterPolicyNetwork
from carp_ros.networks.faster_vla import Context
from carp_ros.networks.numbers_tokenizer import NumbersTokenizer
from carp_ros.networks.sketch import Sketched
from carp_ros.training.action_error import action_errors
from carp_ros.training.aims import aims
from carp_ros.training.committed_steps import CommittedSteps
from carp_ros.training.device import to_device
from carp_ros.training.family import Recipe, Rollout, Samples
from carp_ros.training.gradients import Inputs
from carp_ros.training.ranks import share_of
from carp_ros.training.soft_targets import soft_targets
from carp_ros.training.visuomotor_trainee import VisuomotorTrainee, crops_of
from carp_ros.training.windows import Indices

_BYTES = range(1, 257)  # ids of bytes, which spell unknown words
_AIM_BETA = 0.05  # of a state's range: below, an error counts by its square


class FasterTrainingRecipe(Recipe, Protocol):
    """What a `FasterTrainee` needs of a recipe."""

    @property
    def word_noise(self) -> float:
        """Share of an instruction's words to leave out or make unreadable."""
        ...

    @property
    def sketch_weight(self) -> float:
        """Of the regression's errors; 0 for none."""
        ...

    @property
    def code_spread(self) -> float:
        """Label smoothing, see `soft_targets`."""
        ...


class FasterTrainee(VisuomotorTrainee):
    """The network with its trained tokenizer; a `loop.Trainee`.

    Args:
        network: To be trained, fitted to the states' range, with a trained tokenizer.
        recipe: Noise, colour jitter and label smoothing.
        samples: The dataset.
        rollout: Evaluates the policy in simulation at each validation; None does not.
    """

    network: FasterPolicyNetwork

    def __init__(
        self,
        network: FasterPolicyNetwork,
        recipe: FasterTrainingRecipe,
        samples: Samples,
        rollout: Rollout | None = None,
    ) -> None:
        super().__init__(network, recipe, samples, rollout)
        network.tokenizer.to(self.device)
        instruction = network.prompts.instruction
        self._instructions = np.stack([instruction(task) for task in samples.data.task_names])
        self._word_noise, self._sketch_weight = recipe.word_noise, recipe.sketch_weight
        targets, table = _targets(network.tokenizer, recipe.code_spread)
        self._targets, self._table = targets.to(self.device), table.to(self.device)
        self._aims = aims(samples.data)
        self._committed = None
        if network.commitment is not None:
            self._committed = CommittedSteps(network.commitment.steps, recipe.noise.position_m)

    def inputs(self, batch: Indices, generator: np.random.Generator) -> Inputs:
        """Return also the prompts' `text`, and `committed` steps with their `count`."""
        inputs = dict(super().inputs(batch, generator))
        part = share_of(len(batch))
        words = _noisy(self._instructions[self.data.tasks[batch]], self._word_noise, generator)
        inputs.pop("instructions")
        inputs["text"] = self.network.text(words[part], inputs["states"])
        if self._committed is not None:
            actions, count = self._committed.drawn(
                self.data.actions[batch], self.data.action, generator, part
            )
            inputs["committed"] = to_device(actions, self.device)
            inputs["count"] = to_device(count, self.device)
        return inputs

    def losses(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the paper's loss, and loss and accuracy of each block's greedy tokens."""
        tokens, (context, sketched) = self._tokens(inputs), self._observed(inputs)
        figures = self.network.vla.losses(context, tokens, self._targets[self._table, tokens])
        if sketched is None:
            return figures
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            wanted = self.network.tokenizer.normalised(inputs["actions"], inputs["states"])
            aim = self.network.state_scaling(inputs["aims"])
        sketch_loss = (sketched.actions.float() - wanted).square().mean()
        aim_loss = F.smooth_l1_loss(sketched.aim.float(), aim, beta=_AIM_BETA)
        loss = figures["loss"] + self._sketch_weight * (sketch_loss + aim_loss)
        return {**figures, "loss": loss, "sketch_loss": sketch_loss, "aim_loss": aim_loss}

    def validated(self, inputs: Inputs) -> dict[str, float]:
        """Return the teacher-forced losses, and the errors of generated actions by level."""
        network = self.network
        tokens = self._tokens(inputs)
        text = network.text(inputs["instructions"].numpy(), inputs["states"])
        context, sketched = self._observed({**inputs, "text": text})
        figures = {
            name: float(value) for name, value in network.vla.losses(context, tokens).items()
        }
        true = inputs["actions"].cpu().numpy()
        for level, plan in enumerate(network.plans(context, inputs["states"])):
            errors = action_errors(plan.float().cpu().numpy(), true, self.data.action)
            figures |= {f"{name}_{level}": value for name, value in errors.items()}
        if sketched is not None:
            sketch = sketched.actions.float().detach()
            actions = network.tokenizer.numbers.actions(sketch, inputs["states"]).cpu().numpy()
            errors = action_errors(actions, true, self.data.action)
            figures |= {f"{name}_of_sketch": value for name, value in errors.items()}
            if self.data.state.kind == "tool":
                aim = network.state_scaling.inverse(sketched.aim.float().detach())
                off = (aim - inputs["aims"])[:, :3].norm(dim=1)
                figures["position_error_m_of_aim"] = float(off.mean())
        return figures

    def _wanted(self, windows: Indices) -> dict[str, Tensor]:
        """Return the true actions, the states aimed at, and the instructions' tokens."""
        instructions = torch.from_numpy(self._instructions[self.data.tasks[windows]])
        return {
            "actions": super()._wanted(windows)["actions"],
            "aims": to_device(self.data.states[self._aims[windows]], self.device),
            "instructions": instructions,
        }

    def _observed(self, inputs: Inputs) -> tuple[Context, Sketched | None]:
        committed = (inputs["committed"], inputs["count"]) if "committed" in inputs else None
        states = inputs["states"]
        return self.network.sketched(crops_of(inputs), inputs["text"], states, committed)

    def _tokens(self, inputs: Inputs) -> Tensor:
        """Return the true tokens, (B, N), relative to the noisy input states."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            return self.network.tokenizer.tokenize(inputs["actions"], inputs["states"])


def _noisy(instructions: Ids, share: float, generator: np.random.Generator) -> Ids:
    """Return instructions (B, n) with words left out, or replaced by a byte."""
    odd = (generator.random(instructions.shape) < share) & (instructions != PADDING)
    spelled = generator.choice(np.array(_BYTES), instructions.shape)
    left_out = generator.random(instructions.shape) < 0.5
    return np.where(odd, np.where(left_out, PADDING, spelled), instructions)


def _targets(tokenizer: NumbersTokenizer, spread: float) -> tuple[Tensor, Tensor]:
    """Return target distributions of codes, and which of them each token of a chunk takes.

    Returns:
        Distributions, (tables, K, K), rows of sum 1, and the table of each token, int64 (N,). A
        code's target is spread over those near it in its level; what is not quantized keeps its
        one true code.
    """
    chunk = tokenizer.chunk_tokens
    exact = torch.eye(chunk.codes)[None]
    if not isinstance(tokenizer, FasterActionTokenizer):
        return exact, torch.zeros(chunk.tokens, dtype=torch.int64)
    config = tokenizer.config
    tables = torch.arange(config.vq.levels)[:, None, None]
    tables = tables.repeat(1, config.vq.times, config.columns)
    if config.gripper == "rule":
        tables[..., -1] = config.vq.levels
    near = soft_targets(tokenizer.vq.quantizer.codebook.detach().cpu(), spread)
    return torch.cat((near, exact)), tables.flatten()
