"""Stage 2: the policy, on images, states and the tokens that the tokenizer made of the actions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from carp_ros.networks.carp_policy import CarpPolicyNetwork
from carp_ros.training.action_error import action_errors
from carp_ros.training.augmentation import ColourJitter, StateNoise
from carp_ros.training.device import to_device, training_device
from carp_ros.training.gradients import Inputs
from carp_ros.training.image_store import ImageStore
from carp_ros.training.ranks import share_of
from carp_ros.training.soft_targets import soft_cross_entropy, soft_targets
from carp_ros.training.windows import Indices, Windows

_VALIDATION_BATCH = 128
_IMAGE = "image_"  # before a camera's name
_MOST_VALIDATED = 1024

Rollout = Callable[[CarpPolicyNetwork], dict[str, float]]
"""Takes a network with averaged weights, and returns figures of it at work."""


class PolicyTrainee:
    """Network, windows and images; a `loop.Trainee`.

    Args:
        network: To be trained, fitted to the states' range, with a trained tokenizer.
        data: The dataset's windows.
        images: The dataset's images; none for a policy of the state alone.
        windows: To train on.
        held_out: To validate on.
        noise: Of the states in training.
        jitter: Of the images' colours in training.
        code_spread: How far a token's target spreads to codes near it, see `soft_targets`.
        rollout: Tries the policy out at each validation; None does not.
    """

    def __init__(
        self,
        network: CarpPolicyNetwork,
        data: Windows,
        images: ImageStore,
        windows: Indices,
        held_out: Indices,
        noise: StateNoise,
        jitter: ColourJitter,
        code_spread: float,
        rollout: Rollout | None = None,
    ) -> None:
        self.network = network
        self.windows = windows
        self._data, self._images = data, images
        # spread over the held-out episodes
        stride = max(1, len(held_out) // _MOST_VALIDATED)
        self._held_out = held_out[::stride]
        self._noise, self._jitter, self._rollout = noise, jitter, rollout
        self._device = training_device()
        network.tokenizer.to(self._device)
        codebook = network.tokenizer.vq.quantizer.codebook.detach().to(self._device)
        self._targets = soft_targets(codebook, code_spread)

    def inputs(self, batch: Indices, generator: np.random.Generator) -> Inputs:
        """Return crops (`image_<camera>`), `states`, `actions` and perhaps `task`."""
        part = share_of(len(batch))
        crops = self._images.random_crops(batch, part, generator)
        crops = self._jitter.applied(crops, len(batch), part, generator)
        moved = self._noise.moved(self._data.states[batch], generator)[part]
        return {
            **{_IMAGE + camera: crop for camera, crop in crops.items()},
            "states": to_device(moved, self._device),
            **self._wanted(batch[part]),
        }

    def losses(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the tokens' mean cross-entropy and how many greedy tokens are right."""
        logits, tokens = self._logits(inputs, self._condition(inputs))
        loss = soft_cross_entropy(logits, tokens, self._targets)
        accuracy = (logits.argmax(-1) == tokens).float().mean()
        return {"loss": loss, "token_accuracy": accuracy}

    def validate(self) -> dict[str, float]:
        """Return token accuracy by scale, and how far generated actions are from the true ones.

        The error is also that of the plan after each scale, which anytime decoding would follow.
        """
        sums: dict[str, float] = {}
        for start in range(0, len(self._held_out), _VALIDATION_BATCH):
            batch = self._held_out[start : start + _VALIDATION_BATCH]
            for name, value in self._validated(batch).items():
                sums[name] = sums.get(name, 0.0) + value * len(batch)
        figures = {f"held_out_{name}": value / len(self._held_out) for name, value in sums.items()}
        return figures | (self._rollout(self.network) if self._rollout else {})

    def _validated(self, batch: Indices) -> dict[str, float]:
        network = self.network
        crops = self._images.center_crops(batch)
        states = to_device(self._data.states[batch], self._device)
        inputs = {_IMAGE + camera: crop for camera, crop in crops.items()}
        inputs |= {"states": states, **self._wanted(batch)}
        condition = self._condition(inputs)
        logits, tokens = self._logits(inputs, condition)
        right = (logits.argmax(-1) == tokens).float().mean(0)
        figures = {"loss": float(F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten()))}
        for k, part in enumerate(network.tokenizer.vq.slices):
            figures[f"token_accuracy_{k}"] = float(right[part].mean())
        latents = network.generate(condition).latents
        true = torch.from_numpy(self._data.actions[batch])
        for k in range(latents.shape[1]):
            actions = network.tokenizer.decode(latents[:, k].float(), states).cpu()
            errors = action_errors(actions.numpy(), true.numpy())
            figures |= {f"{name}_{k}": value for name, value in errors.items()}
        return figures

    def _wanted(self, windows: Indices) -> dict[str, Tensor]:
        """Return the true actions, and the task if there are several."""
        wanted = {"actions": to_device(self._data.actions[windows], self._device)}
        if len(self._data.task_names) > 1:
            wanted["task"] = to_device(self._data.tasks[windows], self._device)
        return wanted

    def _condition(self, inputs: Inputs) -> Tensor:
        crops = {
            name.removeprefix(_IMAGE): value
            for name, value in inputs.items()
            if name.startswith(_IMAGE)
        }
        return self.network.condition(crops, inputs["states"], inputs.get("task"))

    def _logits(self, inputs: Inputs, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (B, N, V) of the true tokens' successors, and the true tokens (B, N).

        Tokens are made anew for the states that are given: seen from a place that is a little off,
        the true actions lead back.
        """
        tokenizer, vq = self.network.tokenizer, self.network.tokenizer.vq
        with torch.no_grad(), torch.autocast(self._device.type, enabled=False):
            tokens = tokenizer.tokenize(inputs["actions"], inputs["states"])
            scale_inputs = vq.scale_inputs(vq.latents_from_tokens(tokens))
        return self.network.transformer(condition, scale_inputs), tokens
