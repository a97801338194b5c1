"""Tests for types.py: what a chunk and a twist refuse, and with which words."""

import dataclasses

import numpy as np
import pytest

from carp_ros.errors import CarpError, ChunkError, TwistError
from carp_ros.types import Chunk, SafetyState, Twist


def chunk(**changes):
    n = 3
    values = {
        "stamp_ns": 0,
        "times_ns": np.array([100, 200, 300]),
        "positions": np.zeros((n, 3)),
        "quaternions": np.tile([0.0, 0.0, 0.0, 1.0], (n, 1)),
        "gripper": np.array([0.0, 0.5, 1.0]),
    }
    return Chunk(**{**values, **changes})


def with_element(array, index, value):
    changed = array.copy()
    changed[index] = value
    return changed


def test_a_sound_chunk_is_taken():
    assert len(chunk().times_ns) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"times_ns": np.array([[100], [200], [300]])}, r"has times \(3, 1\), .*expected \(N,\)"),
        ({"positions": np.zeros((2, 3))}, r"chunk of 3 times has .*positions \(2, 3\)"),
        ({"positions": np.zeros((3, 2))}, r"chunk of 3 times has .*positions \(3, 2\)"),
        ({"quaternions": np.ones((3, 3))}, r"quaternions \(3, 3\)"),
        (
            {"gripper": np.zeros((3, 1))},
            r"gripper \(3, 1\); expected \(N,\), \(N, 3\), \(N, 4\), \(N,\)",
        ),
        ({"times_ns": np.array([], np.int64)}, "chunk of 0 times"),
        ({"times_ns": np.array([100, 200, 200])}, "chunk times do not rise"),
        ({"times_ns": np.array([100, 300, 200])}, "chunk times do not rise"),
        ({"gripper": np.array([0.0, 0.5, 1.25])}, r"gripper spans 0.000 to 1.250; expected 0 \(op"),
        ({"gripper": np.array([-0.25, 0.5, 1.0])}, "gripper spans -0.250 to 1.000"),
        (
            {"quaternions": np.array([[0, 0, 0, 1.0], [0, 0, 0, 1.1], [0, 0, 0, 1.05]])},
            r"quaternions\[1\] has length 1.1000; expected 1 within 0.001",
        ),
    ],
)
def test_a_chunk_with_wrong_numbers_is_refused(changes, message):
    with pytest.raises(ChunkError, match=message):
        chunk(**changes)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["positions", "quaternions", "gripper"])
def test_a_chunk_that_is_not_finite_is_refused_and_the_step_named(name, value):
    sound = getattr(chunk(), name)

    with pytest.raises(ChunkError, match=rf"chunk {name}\[2\] is not finite"):
        chunk(**{name: with_element(sound, (2,) if sound.ndim == 1 else (2, 1), value)})


def test_an_empty_chunk_is_refused_whatever_its_shapes():
    with pytest.raises(ChunkError, match="N of at least 1"):
        Chunk(0, np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros((0, 4)), np.zeros(0))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["linear", "angular"])
def test_a_twist_that_is_not_finite_is_refused(name, value):
    sound = Twist(np.zeros(3), np.zeros(3))

    with pytest.raises(TwistError, match=r"expected finite numbers: check the pointer's mapping"):
        dataclasses.replace(sound, **{name: np.array([0.0, value, 0.0])})


def test_refusals_are_errors_that_a_running_system_survives():
    assert issubclass(ChunkError, CarpError)
    assert issubclass(TwistError, CarpError)


def test_the_arm_may_move_in_normal_and_reduced_mode_alone():
    assert [mode for mode in SafetyState if mode.may_move] == [
        SafetyState.NORMAL,
        SafetyState.REDUCED,
    ]


def times(kind):
    return np.array([100, 200, 300]).astype(kind)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # of unsigned numbers every difference is positive, of truth values it is none
        ({"times_ns": np.array([300, 200, 100], np.uint64)}, "times_ns is ndarray of uint64; exp"),
        ({"times_ns": np.array([False, True, False])}, "times_ns is ndarray of bool; expected an"),
        ({"times_ns": times(float)}, "times_ns is ndarray of float64; expected an array of int64"),
        ({"times_ns": times("datetime64[ns]")}, "times_ns is ndarray of datetime64"),
        ({"times_ns": [100, 200, 300]}, "times_ns is list of no dtype; expected an array of int64"),
        ({"times_ns": None}, "times_ns is NoneType"),
        ({"positions": np.zeros((3, 3), object)}, "positions is ndarray of object; expected an ar"),
        ({"positions": np.zeros((3, 3), complex)}, "positions is ndarray of complex128"),
        ({"positions": np.ma.masked_all((3, 3))}, "positions is MaskedArray of float64"),
        ({"quaternions": np.zeros((3, 4), np.int8)}, "quaternions is ndarray of int8"),
        ({"gripper": np.zeros(3, np.float16)}, "gripper is ndarray of float16"),
        ({"stamp_ns": float("nan")}, "has the stamp nan; expected whole nanoseconds"),
        ({"stamp_ns": True}, "has the stamp True"),
        ({"stamp_ns": None}, "has the stamp None"),
    ],
)
def test_a_chunk_of_another_kind_of_numbers_is_refused(changes, message):
    with pytest.raises(ChunkError, match=message):
        chunk(**changes)


def test_a_chunk_takes_arrays_of_any_order_that_nobody_may_write():
    swapped = times(">i8")
    swapped.flags.writeable = False
    assert chunk(times_ns=swapped, positions=np.zeros((3, 3), order="F")).times_ns[2] == 300


@pytest.mark.parametrize("shape", [(), (0,), (2,), (6,), (1, 3), (3, 1)])
def test_a_twist_of_another_shape_is_refused(shape):
    for wrong in ((np.zeros(shape), np.zeros(3)), (np.zeros(3), np.zeros(shape))):
        with pytest.raises(TwistError, match=r"expected \(3,\), \(3,\)"):
            Twist(*wrong)
