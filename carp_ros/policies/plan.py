"""Converts a policy's actions to a chunk that an arm can execute."""

from __future__ import annotations

import numpy as np

from carp_ros.chain import tcp_pose
from carp_ros.errors import PolicyError
from carp_ros.inference.layout import VectorLayout, tcp_pose_from_vector
from carp_ros.rig import Rig
from carp_ros.types import Array, Chunk, Pose

_LEAST_SINE = 1e-3


class PlanReader:
    """Converts actions to chunks.

    Args:
        layout: Of the actions.
        step_s: Time between two steps.
        rig: For the forward kinematics of joint actions, which without it give no chunk.
    """

    def __init__(self, layout: VectorLayout, step_s: float, rig: Rig | None = None) -> None:
        self._layout = layout
        self._step_s = step_s
        self._rig = rig

    def chunk(self, actions: Array, stamp_ns: int) -> Chunk | None:
        """Return the chunk of a policy's actions; None if they move no arm.

        Args:
            actions: Of shape (H, A); step i is due i * step_s after the stamp. The gripper is
                clipped to [0, 1].
            stamp_ns: Of the observation.

        Raises:
            PolicyError: If a number is not finite, or the columns of a rot6d are degenerate.
        """
        if not np.isfinite(actions).all():
            step, number = np.argwhere(~np.isfinite(actions))[0].tolist()
            raise PolicyError(
                f"{self._layout.names[number]} of step {step} is {actions[step, number]}; expected"
                " finite numbers"
            )
        if self._layout.kind == "tool":
            _require_rotations(actions)
            tools = [tcp_pose_from_vector(action) for action in actions]
        elif self._layout.kind == "joints" and self._rig is not None:
            tools = [(self._tcp(action), float(action[-1])) for action in actions]
        else:
            return None
        after_ns = np.round(np.arange(len(actions)) * (self._step_s * 1e9)).astype(np.int64)
        return Chunk(
            stamp_ns=stamp_ns,
            times_ns=stamp_ns + after_ns,
            positions=np.array([tool.position for tool, _ in tools]),
            quaternions=np.array([tool.quaternion for tool, _ in tools]),
            gripper=np.clip([gripper for _, gripper in tools], 0.0, 1.0),
        )

    def _tcp(self, action: Array) -> Pose:
        assert self._rig is not None
        return tcp_pose(self._rig.robot, self._rig.tool.flange_from_tcp, action[:-1].tolist())


def _require_rotations(actions: Array) -> None:
    """Raise if the two columns of a rot6d are zero or parallel."""
    x, y = actions[:, 3:6], actions[:, 6:9]
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    sines = np.linalg.norm(np.cross(x, y), axis=1) / np.maximum(lengths, 1e-12)
    if sines.min() < _LEAST_SINE:
        step = int(np.argmin(sines))
        raise PolicyError(
            f"rot6d of step {step} is {np.round(actions[step, 3:9], 3).tolist()}: columns that"
            " are zero or parallel, which give no rotation"
        )
