"""What an arm is about to do: where its gripper opens or closes next."""

from __future__ import annotations

import numpy as np

from carp_ros.inference.layout import GRIPPER
from carp_ros.training.windows import Indices, Windows, episode_ends

_CLOSED = 0.5  # of 0 open to 1 closed


def aims(data: Windows) -> Indices:
    """Return for each frame the next one at which its episode's gripper is told something new.

    After the last of them, or without a gripper, it is the episode's last frame.
    """
    frames, ends = np.arange(len(data)), episode_ends(data.episodes)
    changes = frames[:0]
    if data.action.names[-1] == GRIPPER:
        closed = data.actions[:, 0, -1] > _CLOSED
        changes = np.flatnonzero(np.diff(closed) & (np.diff(data.episodes) == 0)) + 1
    events = np.union1d(changes, ends)
    following = np.minimum(np.searchsorted(events, frames, side="right"), len(events) - 1)
    return np.minimum(events[following], ends)
