"""What of the last plan an arm goes on with while the next one is made."""

from __future__ import annotations

import numpy as np

from carp_ros.types import Array

_ASTRAY_M = 0.03  # of a tool from its plan; then something else moved it


class Commitment:
    """Remembers the last plan, and gives its steps from a later time on.

    Args:
        step_s: Time between two steps.
        steps: P, steps that a policy is told at most.
        size: A, numbers of an action.
    """

    def __init__(self, step_s: float, steps: int, size: int) -> None:
        self._step_ns = round(step_s * 1e9)
        self.sizes = steps, size
        self.forget()

    def forget(self) -> None:
        """Be committed to nothing."""
        self._actions: Array | None = None
        self._stamp_ns = 0

    def take(self, actions: Array, stamp_ns: int) -> None:
        """Remember a plan: actions (H, A), the first at `stamp_ns`."""
        self._actions, self._stamp_ns = actions, stamp_ns

    def steps_from(self, stamp_ns: int, state: Array, wanted: int) -> tuple[Array, int]:
        """Return the steps from a time on, (P, A), and how many of them are committed.

        Args:
            stamp_ns: Of the newest observation.
            state: Measured then, of shape (S,).
            wanted: Committed steps, if the plan has them.
        """
        most, size = self.sizes
        nothing = np.zeros((most, size), np.float32)
        known = min(size, len(state))
        nothing[:, :known] = state[:known]
        if self._actions is None:
            return nothing, 0
        first = (stamp_ns - self._stamp_ns) / self._step_ns
        left = len(self._actions) - 1 - int(np.ceil(first))
        count = min(wanted, most, left)
        if first < 0.0 or count < 1:
            return nothing, 0
        places = first + np.arange(count)
        before = np.floor(places).astype(int)
        share = (places - before)[:, None]
        earlier, later = self._actions[before], self._actions[before + 1]
        steps = (1.0 - share) * earlier + share * later
        steps[:, -1] = earlier[:, -1]  # a gripper does not ease from one command to the next
        if np.linalg.norm(steps[0, :3] - state[:3]) > _ASTRAY_M:
            return nothing, 0
        nothing[:count] = steps
        return nothing, count
