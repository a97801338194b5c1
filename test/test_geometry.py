"""Tests for geometry.py: identities that hold for every rotation, and a few by hand."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.geometry import (
    compose,
    invert,
    matrix_from_quaternion,
    quaternion_conjugate,
    quaternion_from_matrix,
    quaternion_from_rot6d,
    quaternion_from_rotvec,
    quaternion_multiply,
    rot6d_from_quaternion,
    rotation_between,
    rotvec_from_quaternion,
    slerp,
)
from carp_ros.types import Pose

IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])

number = st.floats(-1.0, 1.0)
vectors = st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3).map(np.array)
quaternions = (
    st.lists(number, min_size=4, max_size=4)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 0.1)
    .map(lambda q: q / np.linalg.norm(q))
)
# Half turns, tiny turns and turns about the axes: where formulas divide by what is then zero.
special = st.sampled_from(
    [quaternion_from_rotvec(angle * axis) for angle in (0.0, 1e-12, 1e-7, 2e-6, math.pi)
     for axis in (*np.eye(3), *-np.eye(3), np.ones(3) / math.sqrt(3.0))]
)  # fmt: skip
rotations = quaternions | special
poses = st.builds(Pose, vectors, rotations)


def assert_same_rotation(a, b, atol=1e-9):
    """A quaternion and its negative turn alike."""
    np.testing.assert_allclose(a if a @ b >= 0.0 else -a, b, atol=atol)


def assert_same_pose(a, b):
    np.testing.assert_allclose(a.position, b.position, atol=1e-9)
    assert_same_rotation(a.quaternion, b.quaternion)


@given(rotations)
def test_matrices_are_rotations_and_lead_back_to_the_quaternion(q):
    matrix = matrix_from_quaternion(q)

    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrix), 1.0)
    assert_same_rotation(quaternion_from_matrix(matrix), q)
    assert quaternion_from_matrix(matrix)[3] >= 0.0


@given(rotations)
def test_rot6d_leads_back_to_the_quaternion(q):
    assert_same_rotation(quaternion_from_rot6d(rot6d_from_quaternion(q)), q)


def test_rot6d_is_the_first_column_of_the_matrix_then_the_second():
    quarter_about_z = quaternion_from_rotvec(np.array([0.0, 0.0, math.pi / 2]))

    np.testing.assert_allclose(
        rot6d_from_quaternion(quarter_about_z), [0, 1, 0, -1, 0, 0], atol=1e-15
    )


@given(rotations, st.lists(st.floats(0.5, 2.0), min_size=2, max_size=2), st.floats(-0.5, 0.5))
def test_rot6d_needs_neither_unit_length_nor_right_angles(q, lengths, skew):
    rot6d = rot6d_from_quaternion(q)
    x, y = rot6d[:3], rot6d[3:]
    sloppy = np.concatenate([lengths[0] * x, lengths[1] * y + skew * x])

    assert_same_rotation(quaternion_from_rot6d(sloppy), q)


@given(rotations)
def test_rotation_vectors_lead_back_to_the_quaternion_by_the_shorter_way(q):
    rotvec = rotvec_from_quaternion(q)

    assert np.linalg.norm(rotvec) <= math.pi + 1e-12
    assert_same_rotation(quaternion_from_rotvec(rotvec), q)
    assert_same_rotation(quaternion_from_rotvec(rotvec_from_quaternion(-q)), q)


@given(st.floats(1e-12, 3.1), vectors.filter(lambda v: np.linalg.norm(v) > 0.1))
def test_rotation_vectors_keep_all_their_digits_however_small_the_turn(angle, axis):
    rotvec = angle * axis / np.linalg.norm(axis)

    np.testing.assert_allclose(
        rotvec_from_quaternion(quaternion_from_rotvec(rotvec)), rotvec, rtol=1e-9, atol=1e-24
    )


@given(vectors, vectors)
def test_turning_about_a_vector_leaves_it_and_turns_others_by_the_angle(axis, vector):
    matrix = matrix_from_quaternion(quaternion_from_rotvec(axis))
    length = np.linalg.norm(axis)
    unit = axis / length if length > 0.0 else axis

    # Rodrigues' formula
    expected = (
        vector * math.cos(length)
        + np.cross(unit, vector) * math.sin(length)
        + unit * (unit @ vector) * (1.0 - math.cos(length))
    )

    np.testing.assert_allclose(matrix @ vector, expected, atol=1e-9)


@given(rotations, rotations)
def test_products_of_quaternions_are_products_of_matrices(a, b):
    np.testing.assert_allclose(
        matrix_from_quaternion(quaternion_multiply(a, b)),
        matrix_from_quaternion(a) @ matrix_from_quaternion(b),
        atol=1e-12,
    )


@given(rotations)
def test_the_conjugate_is_the_inverse(q):
    assert_same_rotation(quaternion_multiply(q, quaternion_conjugate(q)), IDENTITY)


@given(rotations, rotations)
def test_the_rotation_between_turns_the_start_into_the_end_in_the_base_frame(start, end):
    turn = quaternion_from_rotvec(rotation_between(start, end))

    assert_same_rotation(quaternion_multiply(turn, start), end)


@given(rotations, rotations)
def test_slerp_begins_at_the_start_and_ends_at_the_end(start, end):
    assert_same_rotation(slerp(start, end, 0.0), start)
    assert_same_rotation(slerp(start, end, 1.0), end)


@given(rotations, rotations, st.floats(0.0, 1.0))
def test_slerp_turns_at_constant_speed_about_one_axis(start, end, fraction):
    whole = rotation_between(start, end)
    if np.linalg.norm(whole) > math.pi - 1e-3:
        return  # both ways are then equally short

    part = rotation_between(start, slerp(start, end, fraction))

    np.testing.assert_allclose(part, fraction * whole, atol=1e-9)


@given(poses, poses, poses)
def test_poses_form_a_group(a, b, c):
    assert_same_pose(compose(compose(a, b), c), compose(a, compose(b, c)))
    assert_same_pose(compose(a, invert(a)), Pose(np.zeros(3), IDENTITY))
    assert_same_pose(compose(invert(a), a), Pose(np.zeros(3), IDENTITY))
    assert_same_pose(invert(invert(a)), a)


@given(poses, vectors)
def test_composing_moves_points_as_homogeneous_matrices_do(base_from_cam, point):
    cam_from_point = Pose(point, IDENTITY)

    base_from_point = compose(base_from_cam, cam_from_point)

    expected = matrix_from_quaternion(base_from_cam.quaternion) @ point + base_from_cam.position
    np.testing.assert_allclose(base_from_point.position, expected, atol=1e-12)
