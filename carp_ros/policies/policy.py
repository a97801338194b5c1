"""What a policy is: observations in, one chunk of actions out, and how that went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from carp_ros.inference.layout import VectorLayout
from carp_ros.inference.observation import Image
from carp_ros.inference.policy_spec import PolicySpec
from carp_ros.types import Array, Chunk, Observation

_MARGIN_SHARE = 0.1
_LEAST_MARGIN = {"m": 0.02}
_LEAST_MARGIN_ELSE = 0.1

VISION = "vision"
"""The stage in which a policy looks at images; what it looked at before it was asked counts too."""

Tensor = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a policy makes of its observations.

    Attributes:
        stamp_ns: Of the newest observation.
        actions: Of shape (H, A), in the layout of `PolicySpec.action`.
        chunk: The same as a plan that an arm can follow; None if the layout moves no arm.
        stages: Seconds that each stage of the inference took, in order.
        figures: What the policy says of itself, by name: `confidence`, levels done, surprise, ...
        reduced: Whether details were left out to keep the deadline.
        notes: In words, what is unusual: numbers of the state beyond those seen in training, ...
        seen_before: How many of its images had been looked at before it was asked, see
            `Policy.see`; they are no part of `stages`.
        frames: Images that the policy imagines, of shape (K, h, w, 3), uint8; None if it does not.
    """

    stamp_ns: int
    actions: Array
    chunk: Chunk | None
    stages: Mapping[str, float]
    figures: Mapping[str, float] = field(default_factory=dict)
    reduced: bool = False
    notes: tuple[str, ...] = ()
    seen_before: int = 0
    frames: Image | None = None

    @property
    def seconds(self) -> float:
        """How long the inference took."""
        return sum(self.stages.values())


class Policy(Protocol):
    """Anything that makes chunks of actions from observations."""

    @property
    def spec(self) -> PolicySpec:
        """What whoever asks must know."""
        ...

    def reset(self, task: str, instruction: str = "") -> None:
        """Begin an episode: forget what was seen and executed.

        Args:
            task: One of `spec.tasks`; empty for the only one.
            instruction: In words, for a policy that takes some; else ignored.

        Raises:
            ValueError: If the policy was not trained for the task.
        """
        ...

    def see(self, camera: str, stamp_ns: int, image: Image) -> None:
        """Take a look at an image that the next observation is likely to have.

        Args:
            camera: Which.
            stamp_ns: When it was captured.
            image: RGB of shape (H, W, 3).

        Raises:
            DeviceError: If the runtime fails.
        """
        ...

    def infer(
        self, observations: Sequence[Observation], deadline_ns: int | None = None
    ) -> Prediction:
        """Return the plan for what was observed.

        Args:
            observations: `spec.observation.history` of them, the newest last.
            deadline_ns: When the plan shall be there, by the policy's own clock; a policy that can
                leaves out details to keep it. None: it takes the time that it takes.

        Raises:
            PolicyError: If there is no plan that an arm could follow.
            DeviceError: If the runtime fails.
        """
        ...

    def executed(self, chunk: Chunk) -> None:
        """Take note of what was really sent to the arm, after limits and blending.

        Called before `infer` with the steps since the last time, if `spec.wants_executed`.
        """
        ...

    def replay(self, inputs: Mapping[str, Tensor]) -> Array:
        """Return the actions, (H, A), that belong to inputs of the graphs: the golden case.

        Raises:
            DeviceError: If the inputs are not what the policy takes, or the runtime fails.
        """
        ...


def beyond_training(state: Array, layout: VectorLayout) -> tuple[str, ...]:
    """Return, in words, which numbers of a state are farther out than any in training.

    A tenth of the range is granted at each end, and 2 cm or a tenth at least: a policy is worth
    something a little beyond its data, and nothing far beyond.

    Args:
        state: Of shape (S,).
        layout: Names them and their range in training.
    """
    low, high = np.array(layout.low), np.array(layout.high)
    least = np.array([_LEAST_MARGIN.get(unit, _LEAST_MARGIN_ELSE) for unit in layout.units])
    margin = np.maximum(_MARGIN_SHARE * (high - low), least)
    outside = np.flatnonzero((state < low - margin) | (state > high + margin))
    return tuple(
        f"{layout.names[i]} is {state[i]:.3f}; training saw {low[i]:.3f} to {high[i]:.3f}"
        for i in outside.tolist()
    )
