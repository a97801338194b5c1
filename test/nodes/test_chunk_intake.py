"""Tests for nodes/chunk_intake.py: one chunk of two messages, in any order, or a refusal."""

import numpy as np
import pytest

from carp_ros.errors import ChunkError, MessageError
from carp_ros.nodes.chunk_intake import ChunkIntake
from carp_ros.ros.messages import chunk_to_msgs
from carp_ros.types import Chunk

MS = 1_000_000
FRAME = "base_link"


def messages(stamp_ns=10**9, steps=3):
    chunk = Chunk(
        stamp_ns,
        stamp_ns + np.arange(1, steps + 1) * 100 * MS,
        np.zeros((steps, 3)),
        np.tile([0.0, 0.0, 0.0, 1.0], (steps, 1)),
        np.zeros(steps),
    )
    return chunk_to_msgs(chunk, FRAME)


class Intake:
    def __init__(self):
        self.taken, self.refused, self.now_ns = [], [], 0
        take, refuse = self.taken.append, self.refused.append
        self.intake = ChunkIntake(FRAME, take, refuse, lambda: self.now_ns)


@pytest.fixture
def intake():
    return Intake()


@pytest.mark.parametrize("poses_first", [True, False])
def test_a_chunk_is_whole_whichever_half_comes_first(intake, poses_first):
    poses, gripper = messages()
    halves = [
        lambda: intake.intake.take_poses(poses),
        lambda: intake.intake.take_gripper(gripper),
    ]
    for half in halves if poses_first else reversed(halves):
        assert intake.taken == []
        half()

    assert [chunk.stamp_ns for chunk in intake.taken] == [10**9]
    assert intake.refused == []


def test_two_chunks_whose_halves_cross_are_not_mixed(intake):
    first, second = messages(10**9), messages(2 * 10**9)
    intake.intake.take_poses(first[0])
    intake.intake.take_gripper(second[1])
    intake.intake.take_poses(second[0])
    intake.intake.take_gripper(first[1])

    assert [chunk.stamp_ns for chunk in intake.taken] == [2 * 10**9, 10**9]


def test_a_half_that_stays_alone_is_refused_by_name(intake):
    intake.intake.take_poses(messages()[0])
    intake.now_ns = 300 * MS
    intake.intake.watch()

    (error,) = intake.refused
    assert isinstance(error, MessageError)
    assert "arrived without its gripper_chunk" in str(error)
    assert intake.taken == []


def test_a_chunk_that_is_too_long_is_refused_before_its_steps_are_looked_at(intake):
    poses, gripper = messages()
    poses.points = [None] * 200_000  # looked at, it would raise
    intake.intake.take_gripper(gripper)
    intake.intake.take_poses(poses)

    (error,) = intake.refused
    assert isinstance(error, ChunkError)
    assert "200000 steps; expected at most 128" in str(error)
