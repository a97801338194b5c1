"""The interface of a policy: observations in, a chunk of actions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from carp_ros.inference.bundle import Tensor
from carp_ros.inference.layout import VectorLayout
from carp_ros.inference.observation import Image
from carp_ros.inference.policy_spec import PolicySpec
from carp_ros.types import Array, Chunk, Observation

_MARGIN_SHARE = 0.1
_LEAST_MARGIN = {"m": 0.02}
_LEAST_MARGIN_ELSE = 0.1

VISION = "vision"
"""The stage that encodes images, including those that were encoded before the policy was asked."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Result of a policy.

    Attributes:
        stamp_ns: Of the newest observation.
        actions: Of shape (H, A), in the layout of `PolicySpec.action`.
        chunk: The actions as a plan that an arm can execute; None if the layout moves no arm.
        stages: Duration of each stage of the inference in seconds, in order.
        figures: Metrics of the policy, by name: `confidence`, `scales_done`, ...
        reduced: Whether the plan is coarser to keep the deadline.
        notes: Unusual conditions in words, such as state numbers outside of their training range.
        encoded_ahead: Number of images that `Policy.encode_image` had encoded before the policy was
            asked; their encoding is not included in `stages`.
        frames: Images that the policy predicts, of shape (K, h, w, 3), uint8; None if none.
    """

    stamp_ns: int
    actions: Array
    chunk: Chunk | None
    stages: Mapping[str, float]
    figures: Mapping[str, float] = field(default_factory=dict)
    reduced: bool = False
    notes: tuple[str, ...] = ()
    encoded_ahead: int = 0
    frames: Image | None = None

    @property
    def seconds(self) -> float:
        """Duration of the inference."""
        return sum(self.stages.values())


class Policy(Protocol):
    """Anything that computes chunks of actions from observations."""

    @property
    def spec(self) -> PolicySpec:
        """What callers need to know."""
        ...

    def reset(self, task: str, instruction: str = "") -> None:
        """Start an episode: forget earlier images and commands.

        Args:
            task: One of `spec.tasks`; empty for the only one.
            instruction: In words; ignored by policies that don't take any.

        Raises:
            ValueError: If the policy was not trained for the task.
        """
        ...

    def encode_image(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Encode an image that is likely to be part of the next observation.

        Args:
            camera: Its name.
            stamp_ns: Capture time.
            image: RGB of shape (H, W, 3).

        Raises:
            DeviceError: If the runtime fails.
        """
        ...

    def infer(
        self, observations: Sequence[Observation], deadline_ns: int | None = None
    ) -> Prediction:
        """Return the plan for an observation history.

        Args:
            observations: `spec.observation.history` of them, newest last.
            deadline_ns: Deadline of the plan, by the policy's clock; a policy may return a coarser
                plan to keep it. None for no deadline.

        Raises:
            PolicyError: If there is no plan that an arm could execute.
            DeviceError: If the runtime fails.
        """
        ...

    def executed(self, chunk: Chunk) -> None:
        """Receive the commands actually sent to the arm, after limits and blending.

        Called before `infer` with the steps since the last call, if `spec.wants_executed`.
        """
        ...

    def followed(self, stamp_ns: int, late_ns: int) -> None:
        """Receive that the arm follows a plan; not called for a plan that was refused.

        Called before `infer`.

        Args:
            stamp_ns: Of the observation that the plan was made for.
            late_ns: How much later than their own times its steps are due.
        """
        ...

    def replay(self, inputs: Mapping[str, Tensor]) -> Array:
        """Return the actions, (H, A), for inputs of the graphs, such as the golden case.

        Raises:
            DeviceError: If the inputs are not what the policy takes, or the runtime fails.
        """
        ...


def beyond_training(state: Array, layout: VectorLayout) -> tuple[str, ...]:
    """Return, in words, which numbers of a state are far outside of their training range.

    The margin is a tenth of the range, and at least 2 cm or, in other units, 0.1: policies
    generalise a little beyond their data, but not far.

    Args:
        state: Of shape (S,).
        layout: Names and training ranges of the numbers.
    """
    low, high = np.array(layout.low), np.array(layout.high)
    least = np.array([_LEAST_MARGIN.get(unit, _LEAST_MARGIN_ELSE) for unit in layout.units])
    margin = np.maximum(_MARGIN_SHARE * (high - low), least)
    outside = np.flatnonzero((state < low - margin) | (state > high + margin))
    return tuple(
        f"{layout.names[i]} is {state[i]:.3f}; training saw {low[i]:.3f} to {high[i]:.3f}"
        for i in outside.tolist()
    )
