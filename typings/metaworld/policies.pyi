"""The scripted experts of Meta-World 3.1.1."""

import numpy as np
import numpy.typing as npt

class Policy:
    def get_action(self, obs: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]: ...

ENV_POLICY_MAP: dict[str, type[Policy]]
