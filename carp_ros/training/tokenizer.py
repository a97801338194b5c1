"""Stage 1: trains the action tokenizer, on the actions of a dataset alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from carp_ros.networks.action_tokenizer import ActionTokenizer
from carp_ros.training.augmentation import StateNoise
from carp_ros.training.device import to_device, training_device
from carp_ros.training.gradients import Inputs
from carp_ros.training.ranks import share_of
from carp_ros.training.windows import Indices, Windows

_VALIDATION_BATCH = 1024


class TokenizerTrainee:
    """A tokenizer and its windows; a `loop.Trainee`.

    Args:
        network: To be trained, fitted to the actions' range.
        data: The dataset's windows.
        windows: To train on.
        held_out: To validate on.
        noise: Noise on the states that actions are relative to, in training.
    """

    def __init__(
        self,
        network: ActionTokenizer,
        data: Windows,
        windows: Indices,
        held_out: Indices,
        noise: StateNoise,
    ) -> None:
        self.network = network
        self.windows = windows
        self._held_out = held_out
        self._data, self._noise = data, noise
        self._device = training_device()

    def inputs(self, batch: Indices, generator: np.random.Generator) -> Inputs:
        """Return `normalised`, the VQ-VAE's input."""
        part = share_of(len(batch))
        states = self._noise.applied(self._data.states[batch], generator, self._data.state)[part]
        return {"normalised": self._normalised(batch[part], states)}

    def losses(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the paper's loss, summed over dimensions, and its parts as means."""
        loss = self.network.vq(inputs["normalised"])
        return {
            "loss": loss.loss,
            "reconstruction_loss": loss.reconstruction_loss.mean(),
            "quantization_loss": loss.quantization_loss.mean(),
        }

    def validate(self) -> dict[str, float]:
        """Return reconstruction errors of held-out actions, and the mean number of codes used."""
        vq = self.network.vq
        actions = self._normalised(self._held_out, self._data.states[self._held_out])
        tokens = torch.cat([vq.tokenize(part) for part in actions.split(_VALIDATION_BATCH)])
        latents = [vq.latents_from_tokens(part)[:, -1] for part in tokens.split(_VALIDATION_BATCH)]
        back = torch.cat([vq.decode(latent) for latent in latents])
        error = (back - actions).abs() / self.network.scaling.scale
        groups = vq.config.groups
        used = [len(tokens[:, group::groups].unique()) for group in range(groups)]
        return {
            "held_out_position_error_m": float(error[..., :3].mean()),
            "held_out_other_error": float(error[..., 3:].mean()),
            "codes_used": float(np.mean(used)),
        }

    def _normalised(self, windows: Indices, states: npt.NDArray[np.float32]) -> Tensor:
        """Return the VQ-VAE's input for some windows, relative to these states."""
        actions, seen_from = (
            to_device(array, self._device) for array in (self._data.actions[windows], states)
        )
        return self.network.normalised(actions, seen_from)
