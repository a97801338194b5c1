"""Common parts of all policies' trainings: crops, noisy states, true actions, validation."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from torch import Tensor, nn

from carp_ros.training.device import to_device, training_device
from carp_ros.training.family import Recipe, Rollout, Samples
from carp_ros.training.gradients import Inputs
from carp_ros.training.ranks import share_of
from carp_ros.training.windows import Indices

_VALIDATION_BATCH = 128
_IMAGE = "image_"  # prefix of a camera's name
_MOST_VALIDATED = 1024


class VisuomotorTrainee(ABC):
    """A network that plans from images and states; a `loop.Trainee`.

    Args:
        network: To be trained, fitted to the dataset.
        recipe: Noise and colour jitter in training.
        samples: The dataset.
        rollout: Evaluates the policy in simulation at each validation; None does not.
    """

    def __init__(
        self, network: nn.Module, recipe: Recipe, samples: Samples, rollout: Rollout | None
    ) -> None:
        self.network = network
        self.windows = samples.trained
        self.data, self._images = samples.data, samples.images
        # an even subset over all held-out episodes
        stride = max(1, len(samples.held_out) // _MOST_VALIDATED)
        self._held_out = samples.held_out[::stride]
        self._recipe, self._rollout = recipe, rollout
        self.device = training_device()

    @abstractmethod
    def losses(self, inputs: Inputs) -> dict[str, Tensor]:
        """Return `loss`, to be minimised, and other metrics; means over these windows."""

    @abstractmethod
    def validated(self, inputs: Inputs) -> dict[str, float]:
        """Return metrics of held-out windows, means over them."""

    def inputs(self, batch: Indices, generator: np.random.Generator) -> Inputs:
        """Return crops (`image_<camera>`), `states`, `actions` and, with several tasks, `task`."""
        part = share_of(len(batch))
        crops = self._images.random_crops(batch, part, generator)
        crops = self._recipe.jitter.applied(crops, len(batch), part, generator)
        moved = self._recipe.noise.applied(self.data.states[batch], generator, self.data.state)[
            part
        ]
        return {
            **{_IMAGE + camera: crop for camera, crop in crops.items()},
            "states": to_device(moved, self.device),
            **self._wanted(batch[part]),
        }

    def validate(self) -> dict[str, float]:
        """Return metrics of the held-out windows and of rollouts."""
        sums: dict[str, float] = {}
        for start in range(0, len(self._held_out), _VALIDATION_BATCH):
            batch = self._held_out[start : start + _VALIDATION_BATCH]
            crops = self._images.center_crops(batch)
            inputs = {_IMAGE + camera: crop for camera, crop in crops.items()}
            inputs["states"] = to_device(self.data.states[batch], self.device)
            for name, value in self.validated(inputs | self._wanted(batch)).items():
                sums[name] = sums.get(name, 0.0) + value * len(batch)
        figures = {f"held_out_{name}": value / len(self._held_out) for name, value in sums.items()}
        return figures | (self._rollout(self.network) if self._rollout else {})

    def _wanted(self, windows: Indices) -> dict[str, Tensor]:
        """Return the true actions, and the task if there are several."""
        wanted = {"actions": to_device(self.data.actions[windows], self.device)}
        if len(self.data.task_names) > 1:
            wanted["task"] = to_device(self.data.tasks[windows], self.device)
        return wanted


def crops_of(inputs: Inputs) -> dict[str, Tensor]:
    """Return the crops among a network's inputs, by camera."""
    return {
        name.removeprefix(_IMAGE): value
        for name, value in inputs.items()
        if name.startswith(_IMAGE)
    }
