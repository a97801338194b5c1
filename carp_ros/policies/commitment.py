"""What of the last plan an arm goes on with while the next one is made.

Plans made one after the other disagree about when to grasp, so that an arm that is given a new one
before it has acted on the last keeps postponing. A policy that is told what it is committed to
continues it (training-time delay conditioning: Black et al., arXiv:2512.05964).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from carp_ros.inference.bundle import Tensor
from carp_ros.types import Array

USUAL_STEPS = 3
"""Committed steps unless asked otherwise: those until the next plan is there, and for blending."""

_ASTRAY_M = 0.03  # of a tool from its plan; then something else moved it


class Commitment:
    """Remembers the plan that the arm follows, and gives its steps from a later time on.

    A plan that was made counts once the arm follows it: one that came too late, or was refused, is
    none that the arm goes on with.

    Args:
        step_s: Time between two steps.
        most: P, committed steps that a policy can be told; 0 if it can't.
        size: A, numbers of an action.
        wanted: How many steps to be committed to; None for the usual number.

    Raises:
        ValueError: If more are wanted than the policy can be told.
    """

    def __init__(self, step_s: float, most: int, size: int, wanted: Any = None) -> None:
        self._step_ns = round(step_s * 1e9)
        self._most, self._size = most, size
        self._wanted = min(USUAL_STEPS, most) if wanted is None else wanted
        if not isinstance(self._wanted, int) or not 0 <= self._wanted <= most:
            raise ValueError(f"committed_steps is {wanted!r}; expected 0 to {most}")
        self.forget()

    def forget(self) -> None:
        """Be committed to nothing."""
        self._actions: Array | None = None
        self._begin_ns = 0
        self._offered: tuple[Array, int] | None = None

    def offer(self, actions: Array, stamp_ns: int) -> None:
        """Remember a plan that was made: actions (H, A), the first at `stamp_ns`."""
        self._offered = actions, stamp_ns

    def followed(self, stamp_ns: int, late_ns: int) -> None:
        """Be committed to the offered plan of this stamp, whose steps are due `late_ns` later."""
        if self._offered is not None and self._offered[1] == stamp_ns:
            self._actions, self._begin_ns = self._offered[0], stamp_ns + late_ns

    def inputs(self, stamp_ns: int, state: Array) -> dict[str, Tensor]:
        """Return the inputs of a policy's graphs: `committed`, (1, P, A), and `committed_count`.

        Args:
            stamp_ns: Of the newest observation.
            state: Measured then, of shape (S,).
        """
        steps = self._steps_from(stamp_ns, state)
        return self._inputs(state, steps)

    def no_inputs(self, state: Array) -> dict[str, Tensor]:
        """Return the same for a plan that begins at rest."""
        return self._inputs(state, np.zeros((0, self._size)))

    def _inputs(self, state: Array, steps: Array) -> dict[str, Tensor]:
        if not self._most:
            return {}
        committed = np.zeros((1, self._most, self._size), np.float32)
        known = min(self._size, len(state))
        committed[:, :, :known] = state[:known]  # where an arm is, is a valid action, too
        committed[:, : len(steps)] = steps
        return {"committed": committed, "committed_count": np.array([len(steps)], np.int64)}

    def _steps_from(self, stamp_ns: int, state: Array) -> Array:
        """Return the committed steps from a time on, (n, A)."""
        nothing = np.zeros((0, self._size))
        if self._actions is None:
            return nothing
        first = (stamp_ns - self._begin_ns) / self._step_ns
        count = min(self._wanted, len(self._actions) - 1 - int(np.ceil(first)))
        if first < 0.0 or count < 1:
            return nothing
        places = first + np.arange(count)
        before = np.floor(places).astype(int)
        share = (places - before)[:, None]
        earlier, later = self._actions[before], self._actions[before + 1]
        steps = (1.0 - share) * earlier + share * later
        steps[:, -1] = earlier[:, -1]  # a gripper does not ease from one command to the next
        if np.linalg.norm(steps[0, :3] - state[:3]) > _ASTRAY_M:
            return nothing
        return steps
