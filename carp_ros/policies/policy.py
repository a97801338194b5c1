"""What a policy is: one observation in, one chunk out, and how that went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from carp_ros.errors import PolicyError
from carp_ros.inference.bundle import VectorLayout
from carp_ros.inference.layout import tool_from_vector
from carp_ros.inference.observation import Image
from carp_ros.types import Array, Chunk, Observation

_LEAST_SINE = 1e-3
_MARGIN_SHARE = 0.1
_LEAST_MARGIN = {"m": 0.02}
_LEAST_MARGIN_ELSE = 0.1


INFERENCE_STAGES = ("preprocess", "vision", "decode", "total")
"""Of an inference, and their sum."""


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """How long each stage of an inference took, in [s]."""

    preprocess: float
    vision: float
    decode: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.preprocess + self.vision + self.decode


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a policy makes of an observation.

    Attributes:
        chunk: The plan, stamped as the observation.
        confidence: Mean log-likelihood of the tokens behind it, 0 at best.
        scales_done: How many of the `scales`, coarse to fine, it consists of.
        scales: How many there are.
        stages: How long it took.
        out_of_range: In words, which numbers of the state lie beyond what was seen in training.
        seen_before: How many of its images had been looked at before it was asked, see `see`; they
            are no part of `stages`.
    """

    chunk: Chunk
    confidence: float
    scales_done: int
    scales: int
    stages: StageSeconds
    out_of_range: tuple[str, ...]
    seen_before: int = 0

    @property
    def is_coarse(self) -> bool:
        """Whether finer scales were left out for lack of time."""
        return self.scales_done < self.scales


class Policy(Protocol):
    """Anything that makes plans of observations."""

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

    def infer(self, observation: Observation, deadline_ns: int | None = None) -> Prediction:
        """Return the plan for an observation.

        Args:
            observation: What the cameras saw and the arm measured.
            deadline_ns: When the plan shall be there, by the policy's own clock; a policy that can
                leaves out details to keep it. None: it takes the time that it takes.

        Raises:
            PolicyError: If there is no plan that an arm could follow.
            DeviceError: If the runtime fails.
        """
        ...


def chunk_from_actions(actions: Array, stamp_ns: int, step_s: float) -> Chunk:
    """Return the chunk of a policy's actions.

    Args:
        actions: Of shape (H, 10) as `carp_ros.inference.layout` has it; step i is due i * step_s
            after the stamp, and the gripper is clipped to 0 to 1.
        stamp_ns: Of the observation.
        step_s: Between two steps.

    Raises:
        PolicyError: If a number is not finite, or a rotation's two columns name no plane.
    """
    if not np.isfinite(actions).all():
        step, number = np.argwhere(~np.isfinite(actions))[0].tolist()
        raise PolicyError(
            f"action {number} of step {step} is {actions[step, number]}; expected finite numbers"
        )
    x, y = actions[:, 3:6], actions[:, 6:9]
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    sines = np.linalg.norm(np.cross(x, y), axis=1) / np.maximum(lengths, 1e-12)
    if sines.min() < _LEAST_SINE:
        step = int(np.argmin(sines))
        raise PolicyError(
            f"rot6d of step {step} is {np.round(actions[step, 3:9], 3).tolist()}: columns of no"
            " length or one direction, which name no rotation"
        )
    tools = [tool_from_vector(action) for action in actions]
    return Chunk(
        stamp_ns=stamp_ns,
        times_ns=stamp_ns + np.round(np.arange(len(actions)) * (step_s * 1e9)).astype(np.int64),
        positions=np.array([tool.position for tool, _ in tools]),
        quaternions=np.array([tool.quaternion for tool, _ in tools]),
        gripper=np.clip([gripper for _, gripper in tools], 0.0, 1.0),
    )


def beyond_training(state: Array, layout: VectorLayout) -> tuple[str, ...]:
    """Return, in words, which numbers of a state are farther out than any in training.

    A tenth of the range is granted at each end, and 2 cm or a tenth at least: a policy is worth
    something a little beyond its data, and nothing far beyond.

    Args:
        state: Of shape (10,).
        layout: Names them and their range in training.
    """
    low, high = np.array(layout.low), np.array(layout.high)
    least = np.array([_LEAST_MARGIN.get(unit, _LEAST_MARGIN_ELSE) for unit in layout.units])
    margin = np.maximum(_MARGIN_SHARE * (high - low), least)
    outside = np.flatnonzero((state < low - margin) | (state > high + margin))
    return tuple(
        f"{layout.names[i]} is {state[i]:.3f}, in training {low[i]:.3f} to {high[i]:.3f}"
        for i in outside.tolist()
    )
