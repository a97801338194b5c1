"""Commands sent to the arm, after limits and blending, resampled to a policy's steps."""

from __future__ import annotations

import numpy as np

from carp_ros.inference.observation import pose_between
from carp_ros.inference.track import Track
from carp_ros.types import Chunk, Pose

_GAP_S = 0.2


class ExecutedSteps:
    """Resamples the targets that were sent to an arm.

    Args:
        step_s: The policy's time between two steps.
        history_s: How long targets are kept.
    """

    def __init__(self, step_s: float, history_s: float = 10.0) -> None:
        self._step_ns = round(step_s * 1e9)
        self._tools = Track[Pose]("target pose", history_s, _GAP_S)
        self._grippers = Track[float]("gripper command", history_s, history_s)
        self._until_ns = 0

    def take_target(self, stamp_ns: int, target: Pose) -> None:
        """Add a tool target, `base_from_tcp`, that was sent to the arm."""
        self._tools.take(stamp_ns, target)

    def take_gripper(self, stamp_ns: int, closure: float) -> None:
        """Add a gripper command, 0 open to 1 closed."""
        self._grippers.take(stamp_ns, closure)

    def since_last(self, now_ns: int) -> Chunk | None:
        """Return the steps since the last call up to now; None if there is no complete one.

        Steps during which nothing was sent are left out.

        Args:
            now_ns: A stamp; steps are at multiples of the step time before it.
        """
        count = (now_ns - self._until_ns) // self._step_ns if self._until_ns else 1
        count = min(count, len(self._tools.stamps_ns))
        self._until_ns = now_ns
        times_ns, tools, closures = [], [], []
        for back in reversed(range(count)):
            at_ns = now_ns - back * self._step_ns
            tool = self._tools.between(at_ns, pose_between)
            closure = self._grippers.before(at_ns)
            if isinstance(tool, str) or isinstance(closure, str):
                continue
            times_ns.append(at_ns)
            tools.append(tool)
            closures.append(closure)
        if not times_ns:
            return None
        return Chunk(
            now_ns,
            np.array(times_ns, np.int64),
            np.array([tool.position for tool in tools]),
            np.array([tool.quaternion for tool in tools]),
            np.array(closures),
        )
