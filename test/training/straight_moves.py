"""Chunks that are quick to learn, without a dataset."""

import numpy as np

from carp_ros.training.windows import Windows

H = 16


def moves(count: int, seed: int) -> Windows:
    """Straight minimum-jerk moves of a tool in random directions; the gripper changes once."""
    rng = np.random.default_rng(seed)
    states = np.tile(np.array([0.4, 0, 0.2, 1, 0, 0, 0, 1, 0, 0], np.float32), (count, 1))
    s = np.linspace(0.0, 1.0, H, dtype=np.float32)
    ramp = (10 * s**3 - 15 * s**4 + 6 * s**5)[None, :, None]
    actions = np.repeat(states[:, None], H, axis=1)
    actions[..., :3] += ramp * rng.normal(0.0, 0.08, (count, 1, 3)).astype(np.float32)
    angle = (ramp[..., 0] * rng.normal(0.0, 0.3, (count, 1))).astype(np.float32)
    actions[..., 3], actions[..., 4] = np.cos(angle), np.sin(angle)
    actions[..., 6], actions[..., 7] = -np.sin(angle), np.cos(angle)
    actions[..., 9] = np.arange(H)[None] >= rng.integers(0, H + 4, (count, 1))
    zeros = np.zeros(count, np.int64)
    return Windows(states, actions, zeros, np.arange(count) // 8, ("move",))
