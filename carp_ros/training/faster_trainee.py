"""FASTer's stage 2: trains the policy on images, states, instructions and true tokens."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from carp_ros.inference.prompt import Ids
from carp_ros.inference.words import PADDING
from carp_ros.networks.faster_policy import FasterPolicyNetwork
from carp_ros.networks.faster_vla import Context
from carp_ros.training.action_error import action_errors
from carp_ros.training.committed_steps import CommittedSteps
from carp_ros.training.device import to_device
from carp_ros.training.family import Recipe, Rollout, Samples
from carp_ros.training.gradients import Inputs
from carp_ros.training.ranks import share_of
from carp_ros.training.soft_targets import soft_targets
from carp_ros.training.visuomotor_trainee import VisuomotorTrainee, crops_of
from carp_ros.training.windows import Indices

_BYTES = range(1, 257)  # ids of bytes, which spell unknown words


class FasterTrainingRecipe(Recipe, Protocol):
    """What a `FasterTrainee` needs of a recipe."""

    @property
    def word_noise(self) -> float:
        """Share of an instruction's words to leave out or make unreadable."""
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
        self._word_noise = recipe.word_noise
        self._targets = _targets(network, recipe.code_spread).to(self.device)
        self._table = _table_of_tokens(network).to(self.device)
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
        tokens = self._tokens(inputs)
        wanted = F.embedding(
            self._table * self.network.tokenizer.config.vq.codes + tokens, self._targets
        )
        return self.network.vla.losses(self._context(inputs), tokens, wanted)

    def validated(self, inputs: Inputs) -> dict[str, float]:
        """Return the teacher-forced losses, and the errors of generated actions by level."""
        network = self.network
        tokens = self._tokens(inputs)
        text = network.text(inputs["instructions"].numpy(), inputs["states"])
        context = self._context({**inputs, "text": text})
        figures = {
            name: float(value) for name, value in network.vla.losses(context, tokens).items()
        }
        made = network.vla.generate(context)
        true = inputs["actions"].cpu().numpy()
        a_level = tokens.shape[1] // network.tokenizer.config.vq.levels
        for level in range(network.tokenizer.config.vq.levels):
            kept = made[:, : (level + 1) * a_level]
            actions = network.tokenizer.decode(kept, inputs["states"]).float().cpu().numpy()
            errors = action_errors(actions, true, self.data.action)
            figures |= {f"{name}_{level}": value for name, value in errors.items()}
        return figures

    def _wanted(self, windows: Indices) -> dict[str, Tensor]:
        """Return the true actions and the instructions' tokens."""
        instructions = torch.from_numpy(self._instructions[self.data.tasks[windows]])
        return {"actions": super()._wanted(windows)["actions"], "instructions": instructions}

    def _context(self, inputs: Inputs) -> Context:
        committed = (inputs["committed"], inputs["count"]) if "committed" in inputs else None
        states = inputs["states"]
        return self.network.context(crops_of(inputs), inputs["text"], states, committed)

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


def _targets(network: FasterPolicyNetwork, spread: float) -> Tensor:
    """Return the target distribution of each code of each level, and of the gripper's list.

    Returns:
        Of shape ((levels + 1) codes, codes), rows of sum 1.
    """
    codebook = network.tokenizer.vq.quantizer.codebook.detach()
    own = torch.eye(codebook.shape[1], device=codebook.device)[None]
    return torch.cat((soft_targets(codebook, spread), own)).flatten(0, 1)


def _table_of_tokens(network: FasterPolicyNetwork) -> Tensor:
    """Return which of `_targets` each token of a chunk takes, int64 (N,)."""
    config = network.tokenizer.config
    vq = config.vq
    tables = torch.arange(vq.levels)[:, None, None].repeat(1, vq.times, config.columns)
    if config.gripper == "rule":
        tables[..., -1] = vq.levels
    return tables.flatten()
