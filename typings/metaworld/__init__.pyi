"""What we use of Meta-World 3.1.1, which lives in an environment of its own."""

from typing import Any

import numpy as np
import numpy.typing as npt

class Task:
    data: bytes

class MT1:
    def __init__(self, env_name: str, seed: int | None = None) -> None: ...
    @property
    def train_tasks(self) -> list[Task]: ...

class SawyerXYZEnv:
    def set_task(self, task: Task) -> None: ...
    def reset(self) -> tuple[npt.NDArray[np.float64], dict[str, Any]]: ...
    def step(
        self, action: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float64], float, bool, bool, dict[str, Any]]: ...

ALL_V3_ENVIRONMENTS: dict[str, type[SawyerXYZEnv]]
