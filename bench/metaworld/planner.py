"""A trained policy at work, asked as any program asks one: the package as a library."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import carp_ros
from bench.metaworld.demonstrations import Floats
from bench.metaworld.jobs import TRAINED, Job

BUNDLE = Path("policy") / "bundle"


class Planner:
    """The policy of a job.

    Args:
        job: Which.
        out: Folder of everything that was made.

    Raises:
        ValueError: If it is not trained.
    """

    def __init__(self, job: Job, out: Path) -> None:
        folder = job.folder(out)
        if not (folder / TRAINED).is_file():
            raise ValueError(f"{folder} holds no finished training of {job.name}; train it first")
        self.facts: dict[str, Any] = json.loads((folder / TRAINED).read_text(encoding="utf-8"))
        self._policy = carp_ros.load_policy(folder / BUNDLE, job.tasks[0], time.monotonic_ns)
        self.executed = self._policy.spec.execution_horizon

    def begin(self, task: str) -> None:
        """Begin an episode of a task."""
        self._policy.reset(task)

    def __call__(self, state: Floats) -> Floats:
        """Return actions (H, D) for a state (S,)."""
        numbers = state.astype(np.float64)
        seen = carp_ros.Observation.of_numbers(time.monotonic_ns(), numbers)
        return self._policy.infer([seen]).actions.astype(np.float32)
