"""Training-time delay conditioning: some windows begin while an arm still goes on with its plan.

How many of the first steps are fixed is drawn at random, as the delay of an inference is not known
in advance (Black et al., arXiv:2512.05964).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carp_ros.inference.layout import Layout

_POSITION = slice(0, 3)
_SHARE = 0.5  # of windows with committed steps


@dataclass(frozen=True)
class CommittedSteps:
    """Draws committed steps.

    Attributes:
        steps: P, most of them.
        position_m: Standard deviation by which a tool's steps are displaced, all of a window alike:
            a plan is never quite the demonstrator's.
    """

    steps: int
    position_m: float

    def drawn(
        self,
        actions: npt.NDArray[np.float32],
        layout: Layout,
        generator: np.random.Generator,
        part: slice,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return committed actions, (b, P, A), and how many of them are fixed, (b,).

        Args:
            actions: The true ones of the global batch, (B, H, A).
            layout: Of an action.
            generator: Random number generator.
            part: The slice of the batch to return; numbers are drawn for all of it.
        """
        batch = len(actions)
        count = generator.integers(1, self.steps + 1, batch)
        count = np.where(generator.random(batch) < _SHARE, count, 0)
        shift = generator.standard_normal((batch, 1, 3)) * self.position_m
        committed = actions[part, : self.steps].copy()
        if layout.kind == "tool":
            committed[..., _POSITION] += shift[part]
        return committed, count[part]
