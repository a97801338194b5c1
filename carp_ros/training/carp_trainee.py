"""CARP's stage 2: trains the policy on images, states and the tokens of the true actions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from carp_ros.networks.carp_policy import CarpPolicyNetwork
from carp_ros.training.action_error import action_errors
from carp_ros.training.committed_steps import CommittedSteps
from carp_ros.training.device import to_device
from carp_ros.training.family import Rollout, Samples
from carp_ros.training.gradients import Inputs
from carp_ros.training.presets import PolicyRecipe
from carp_ros.training.ranks import share_of
from carp_ros.training.soft_targets import soft_cross_entropy, soft_targets
from carp_ros.training.visuomotor_trainee import VisuomotorTrainee, crops_of
from carp_ros.training.windows import Indices


class CarpTrainee(VisuomotorTrainee):
    """The network with its trained tokenizer; a `loop.Trainee`.

    Args:
        network: To be trained, fitted to the states' range, with a trained tokenizer.
        recipe: Noise, colour jitter and label smoothing, see `soft_targets`.
        samples: The dataset.
        rollout: Evaluates the policy in simulation at each validation; None does not.
    """

    network: CarpPolicyNetwork

    def __init__(
        self,
        network: CarpPolicyNetwork,
        recipe: PolicyRecipe,
        samples: Samples,
        rollout: Rollout | None = None,
    ) -> None:
        super().__init__(network, recipe, samples, rollout)
        network.tokenizer.to(self.device)
        codebook = network.tokenizer.vq.quantizer.codebook.detach().to(self.device)
        self._targets = soft_targets(codebook, recipe.code_spread)
        self._committed = None
        if network.committed_steps:
            self._committed = CommittedSteps(network.committed_steps, recipe.noise.position_m)

    def inputs(self, batch: Indices, generator: np.random.Generator) -> Inputs:
        """Return also `committed` steps and their `count`, if the network takes them."""
        inputs = dict(super().inputs(batch, generator))
        if self._committed is not None:
            actions, count = self._committed.drawn(
                self.data.actions[batch], self.data.action, generator, share_of(len(batch))
            )
            inputs["committed"] = to_device(actions, self.device)
            inputs["count"] = to_device(count, self.device)
        return inputs

    def losses(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the mean cross-entropy of the tokens and the accuracy of greedy tokens."""
        logits, tokens = self._logits(inputs, self._condition(inputs))
        loss = soft_cross_entropy(logits, tokens, self._targets)
        accuracy = (logits.argmax(-1) == tokens).float().mean()
        return {"loss": loss, "token_accuracy": accuracy}

    def validated(self, inputs: Inputs) -> dict[str, float]:
        """Return the token accuracy of each scale, and the errors of generated actions.

        Errors are given after each scale, as anytime decoding may stop after any of them.
        """
        network = self.network
        condition = self._condition(inputs)
        logits, tokens = self._logits(inputs, condition)
        right = (logits.argmax(-1) == tokens).float().mean(0)
        figures = {"loss": float(F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten()))}
        for k, part in enumerate(network.tokenizer.vq.slices):
            figures[f"token_accuracy_{k}"] = float(right[part].mean())
        latents = network.generate(condition).latents
        true = inputs["actions"].cpu().numpy()
        for k in range(latents.shape[1]):
            actions = network.tokenizer.decode(latents[:, k].float(), inputs["states"]).cpu()
            errors = action_errors(actions.numpy(), true, self.data.action)
            figures |= {f"{name}_{k}": value for name, value in errors.items()}
        return figures

    def _condition(self, inputs: Inputs) -> Tensor:
        committed = (inputs["committed"], inputs["count"]) if "committed" in inputs else None
        return self.network.condition(
            crops_of(inputs), inputs["states"], inputs.get("task"), committed
        )

    def _logits(self, inputs: Inputs, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, N, V) by teacher forcing, and the true tokens (B, N).

        Tokens are computed relative to the noisy input states: relative to those, the true actions
        lead back.
        """
        tokenizer, vq = self.network.tokenizer, self.network.tokenizer.vq
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            tokens = tokenizer.tokenize(inputs["actions"], inputs["states"])
            scale_inputs = vq.scale_inputs(vq.latents_from_tokens(tokens))
        return self.network.transformer(condition, scale_inputs), tokens
