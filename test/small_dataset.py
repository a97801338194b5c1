"""A small dataset of `carp convert`: four short episodes of one camera."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from carp_ros.inference.layout import vector_from_tcp_pose
from carp_ros.recording.dataset import Dataset
from carp_ros.recording.dataset_spec import DatasetSpec
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.recording.frames import Frame
from carp_ros.recording.pieces import write_piece
from carp_ros.types import Observation, Pose

SPEC = DatasetSpec("ur5e_test", "ur5e", ("j0", "j1"), {"cam": (64, 48)}, "cam", 10, 0.05)
DOWN = np.array([1.0, 0.0, 0.0, 0.0])


def frames(count: int, closes: bool):
    for k in range(count):
        stamp_ns = 10**18 + k * 100_000_000
        tool = Pose(np.array([0.3 + 0.01 * k, 0.1 * np.sin(k / 5), 0.2]), DOWN)
        image = np.full((48, 64, 3), 40 + k, np.uint8)
        joints = np.array([0.1, 0.2]) * k
        seen = Observation(stamp_ns, {"cam": image}, {"cam": stamp_ns}, tool, 0.0, joints)
        yield Frame(seen, vector_from_tcp_pose(tool, float(closes and k > count / 2)))


def write_small_dataset(root: Path, instructions: Sequence[str] = ("Move the cup.",)) -> Path:
    """Write it and return its folder; the second episode failed, the last never closes.

    The episodes are asked for in these instructions, in turn.
    """
    converting = Dataset(root, "whole")
    pieces = []
    for number, count in enumerate((20, 21, 20, 60)):
        words = instructions[number % len(instructions)]
        info = EpisodeInfo("ur5e_test", "cup", words, "someone", None, "0.1.0", number, number != 1)
        shown = frames(count, closes=number != 3)
        folder = converting.piece_folder(f"episode_{number}", info)
        write_piece(folder, SPEC, f"episode_{number}", info, shown)
        pieces.append(converting.take(folder))
    converting.commit(pieces)
    converting.close()
    return root
