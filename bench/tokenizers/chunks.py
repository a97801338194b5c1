"""The chunks that tokenizers are compared on: of datasets, and made ones."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from carp_ros.networks.rotation_vectors import matrices_from_vectors, rot6d_from_matrices
from carp_ros.recording.open_dataset import open_demonstrations
from carp_ros.training.windows import Indices, Windows, read_windows, split_episodes

SYNTHETIC = "synthetic"
HORIZON, SYNTHETIC_HORIZON = 16, 20
_HELD_OUT = 0.1
_RATE_HZ = 20.0
_EPISODES, _FRAMES = 240, 100


@dataclass(frozen=True)
class Chunks:
    """Windows of whole episodes, to fit tokenizers to and to try them on.

    Attributes:
        name: Of the data.
        data: All windows.
        trained, held_out: Which of them are for what.
    """

    name: str
    data: Windows
    trained: Indices
    held_out: Indices

    @property
    def horizon(self) -> int:
        """H."""
        return self.data.actions.shape[1]

    @property
    def has_tool(self) -> bool:
        """Whether states and actions are tool poses."""
        return self.data.state.kind == self.data.action.kind == "tool"

    def part(self, windows: Indices) -> Windows:
        """Return some windows as if there were no others."""
        data = self.data
        return dataclasses.replace(
            data,
            states=data.states[windows],
            actions=data.actions[windows],
            tasks=data.tasks[windows],
            episodes=data.episodes[windows],
        )


def chunks_of(data: str, seed: int) -> Chunks:
    """Return the chunks of a dataset's folder, or those of `synthetic`.

    Args:
        data: Folder of `carp convert` or in LeRobot's format, or `synthetic`.
        seed: Of which episodes are held out, and of the made ones.
    """
    if data == SYNTHETIC:
        windows, name = synthetic_windows(seed), SYNTHETIC
    else:
        folder = Path(data)
        shown = open_demonstrations(folder, with_images=False)
        name = folder.parent.name if folder.name == "dataset" else folder.name
        windows = read_windows(shown, HORIZON)
    return Chunks(name, windows, *split_episodes(windows, _HELD_OUT, 0, seed))


def synthetic_windows(
    seed: int, episodes: int = _EPISODES, frames: int = _FRAMES, horizon: int = SYNTHETIC_HORIZON
) -> Windows:
    """Return windows of made episodes at 20 Hz: quick moves of a tool that trembles.

    Minimum-jerk segments of 0.5 to 1.4 s in position and rotation follow one another; each number
    wobbles with two sines of 2 to 6 Hz, by up to 3 mm or 15 mrad each; the gripper may change at
    any end of a segment, and now and then somewhere else. The action of a frame is the next
    frame's pose.

    Args:
        seed: Of the episodes.
        episodes: How many.
        frames: Of each episode.
        horizon: H.
    """
    rng = np.random.default_rng(seed)
    poses = np.stack([_episode(rng, frames + 1) for _ in range(episodes)])  # (E, T + 1, 10)
    steps = np.minimum(np.arange(frames)[:, None] + np.arange(horizon), frames - 1)
    actions = poses[:, 1:][:, steps]  # (E, T, H, 10)
    zeros = np.zeros(episodes * frames, np.int64)
    return Windows(
        poses[:, :-1].reshape(-1, poses.shape[-1]),
        actions.reshape(-1, horizon, poses.shape[-1]),
        zeros,
        np.arange(episodes).repeat(frames),
        ("move",),
        SYNTHETIC,
    )


def _episode(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Return tool poses with a gripper, of shape (frames, 10)."""
    numbers = np.zeros((frames, 6))
    gripper = np.zeros(frames)
    here = np.array([0.45, 0.0, 0.25, 0.0, 0.0, 0.0]) + rng.normal(0.0, 0.05, 6)
    home, closed, frame = here.copy(), False, 0
    while frame < frames:
        count = round(rng.uniform(0.5, 1.4) * _RATE_HZ)
        # towards home, or episodes would wander off
        there = home + rng.normal(0.0, 1.0, 6) * np.array([0.06, 0.06, 0.06, 0.25, 0.25, 0.25])
        s = np.arange(1, count + 1) / count
        ramp = 10.0 * s**3 - 15.0 * s**4 + 6.0 * s**5
        part = slice(frame, min(frame + count, frames))
        numbers[part] = (here + ramp[:, None] * (there - here))[: part.stop - part.start]
        gripper[part] = closed
        if rng.random() < 0.2:
            gripper[part.start + rng.integers(count) : part.stop] = not closed
            closed = not closed
        if rng.random() < 0.5:
            closed = not closed
        here, frame = there, frame + count
    times_s = np.arange(frames)[:, None] / _RATE_HZ
    most = np.array([0.003, 0.003, 0.003, 0.015, 0.015, 0.015])
    for _ in range(2):
        rate_hz, phase = rng.uniform(2.0, 6.0, 6), rng.uniform(0.0, 2.0 * np.pi, 6)
        numbers += rng.uniform(0.3, 1.0, 6) * most * np.sin(2.0 * np.pi * rate_hz * times_s + phase)
    rot6d = rot6d_from_matrices(matrices_from_vectors(torch.from_numpy(numbers[:, 3:]).float()))
    return np.concatenate([numbers[:, :3], rot6d.numpy(), gripper[:, None]], 1).astype(np.float32)
