"""Stage 1: trains the action tokenizer, on the actions of a dataset alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from carp_ros.training.augmentation import StateNoise
from carp_ros.training.device import to_device, training_device
from carp_ros.training.gradients import Inputs
from carp_ros.training.ranks import share_of
from carp_ros.training.tokenizer_kind import TokenizerNetwork
from carp_ros.training.windows import Indices, Windows


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
        network: TokenizerNetwork,
        data: Windows,
        windows: Indices,
        held_out: Indices,
        noise: StateNoise,
    ) -> None:
        assert isinstance(network, nn.Module)
        self.network: nn.Module = network
        self._tokenizer = network
        self.windows = windows
        self._held_out = held_out
        self._data, self._noise = data, noise
        self._device = training_device()

    def inputs(self, batch: Indices, generator: np.random.Generator) -> Inputs:
        """Return `normalised`, the network's input."""
        part = share_of(len(batch))
        states = self._noise.applied(self._data.states[batch], generator, self._data.state)[part]
        return {"normalised": self._normalised(batch[part], states)}

    def losses(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return the network's losses."""
        return self._tokenizer.losses(inputs["normalised"])

    def validate(self) -> dict[str, float]:
        """Return the network's errors with held-out actions."""
        actions = self._normalised(self._held_out, self._data.states[self._held_out])
        errors = self._tokenizer.errors(actions)
        return {f"held_out_{name}" if "error" in name else name: e for name, e in errors.items()}

    def _normalised(self, windows: Indices, states: npt.NDArray[np.float32]) -> Tensor:
        """Return the network's input for some windows, relative to these states."""
        actions, seen_from = (
            to_device(array, self._device) for array in (self._data.actions[windows], states)
        )
        return self._tokenizer.normalised(actions, seen_from)
