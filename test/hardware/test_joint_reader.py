import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.errors import MessageError
from carp_ros.hardware.joint_reader import JointReader

NAMES = ("a", "b", "c")
OTHERS = ("finger", "wheel")
VALUES = {"a": 0.1, "b": -0.2, "c": 0.3, "finger": math.nan, "wheel": 9e9}
SPEEDS = {name: 10.0 * value for name, value in VALUES.items()}


def read(reader, *state):
    """Read a joint state that has the arm's joints."""
    told = reader.read(*state)
    assert told is not None
    return told


@given(st.permutations([*NAMES, *OTHERS]), st.permutations(NAMES))
def test_joints_are_found_in_any_order_among_any_others(sent, then):
    reader = JointReader(NAMES)
    for stamp_s, names in ((1.0, sent), (1.002, then), (1.004, then)):
        joints, speeds = read(
            reader, names, [VALUES[n] for n in names], [SPEEDS[n] for n in names], stamp_s
        )
        np.testing.assert_allclose(joints, [0.1, -0.2, 0.3])
        np.testing.assert_allclose(speeds, [1.0, -2.0, 3.0])


@pytest.mark.parametrize("told", [[], [math.nan] * 3, [1.0, math.inf, 2.0], [1.0, 1e30, 2.0]])
def test_velocities_that_are_not_told_follow_from_positions(told):
    reader = JointReader(NAMES)
    read(reader, NAMES, [0.0, 0.0, 0.0], told, 1.0)
    _, speeds = read(reader, NAMES, [0.002, 0.0, -0.001], told, 1.002)
    np.testing.assert_allclose(speeds, [1.0, 0.0, -0.5])


@pytest.mark.parametrize("stamp_s", [0.5, 2.0])
def test_no_velocity_follows_from_positions_of_long_ago_or_of_a_clock_set_back(stamp_s):
    reader = JointReader(NAMES)
    reader.read(NAMES, [0.0, 0.0, 0.0], [], 1.0)
    assert not read(reader, NAMES, [0.5, 0.0, 0.0], [], stamp_s)[1].any()


@pytest.mark.parametrize(
    ("names", "positions", "velocities", "said"),
    [
        (("a", "b"), (0.0, 0.0), (), "lacks c; it has .*'a', 'b'.*arm.joint_prefix"),
        (("c", "finger"), (0.0, 0.0), (), "lacks a, b; it has"),
        (("a", "b", "c", "a"), (0.0,) * 4, (), "names a twice"),
        (NAMES, (0.0, 0.0), (), "3 names, 2 positions and 0 velocities"),
        (NAMES, (0.0,) * 3, (0.0,), "3 names, 3 positions and 1 velocities"),
        (NAMES, (0.0, math.nan, 0.0), (), "expected finite numbers"),
        (NAMES, (0.0, -math.inf, 0.0), (), "expected finite numbers"),
        (NAMES, (0.0, 1e6, 0.0), (), "at most 100 rad"),
    ],
)
def test_a_joint_state_that_tells_not_all_joints_is_refused(names, positions, velocities, said):
    with pytest.raises(MessageError, match=said):
        JointReader(NAMES).read(names, positions, velocities, 1.0)


@given(st.lists(st.sampled_from(OTHERS)), st.lists(st.floats()), st.floats())
def test_a_joint_state_of_other_devices_is_nobody_s_fault_and_changes_nothing(names, told, stamp_s):
    reader = JointReader(NAMES)
    read(reader, NAMES, [0.0, 0.0, 0.0], [], 1.0)
    assert reader.read(names, told, told, stamp_s) is None
    joints, speeds = read(reader, NAMES, [0.002, 0.0, -0.001], [], 1.002)
    np.testing.assert_allclose(joints, [0.002, 0.0, -0.001])
    np.testing.assert_allclose(speeds, [1.0, 0.0, -0.5])


def test_a_stamp_that_stands_still_tells_nothing_new():
    reader = JointReader(NAMES)
    reader.read(NAMES, [0.0] * 3, [], 1.0)
    with pytest.raises(MessageError, match=r"stamp of the last one, 1\.000 s"):
        reader.read(NAMES, [0.1] * 3, [], 1.0)
