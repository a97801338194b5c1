"""Tests for networks/rotation_vectors.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="networks need torch: pip install 'torch==2.13.0'")

from carp_ros.geometry import matrix_from_quaternion, quaternion_from_rotvec  # noqa: E402
from carp_ros.networks.rotation_vectors import (  # noqa: E402
    matrices_from_rot6d,
    matrices_from_vectors,
    rot6d_from_matrices,
    vectors_from_matrices,
)

AXES = st.tuples(*[st.floats(-1.0, 1.0)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1)
ANGLES = st.one_of(
    st.floats(0.0, 3.1415), st.floats(0.0, 1e-3), st.floats(3.12, 3.1415), st.just(np.pi)
)


def turned(axis, angle):
    return np.array(axis) / np.linalg.norm(axis) * angle


@given(AXES, ANGLES)
def test_vectors_and_matrices_agree_with_the_servos_geometry(axis, angle):
    vector = turned(axis, angle)
    matrix = matrix_from_quaternion(quaternion_from_rotvec(vector))
    made = matrices_from_vectors(torch.from_numpy(vector).float())
    assert made.numpy() == pytest.approx(matrix, abs=2e-6)
    back = vectors_from_matrices(torch.from_numpy(matrix)).numpy()
    again = matrix_from_quaternion(quaternion_from_rotvec(back))
    assert again == pytest.approx(matrix, abs=1e-5)  # at half a turn, either sign is right
    if angle < 3.0:
        assert back == pytest.approx(vector, abs=1e-5)


@given(AXES, ANGLES)
def test_single_precision_comes_back_to_a_tenth_of_a_milliradian(axis, angle):
    vector = torch.from_numpy(turned(axis, min(angle, 3.0))).float()
    assert vectors_from_matrices(matrices_from_vectors(vector)).numpy() == pytest.approx(
        vector.numpy(), abs=1e-4
    )


@given(AXES, ANGLES)
def test_rot6d_is_the_first_two_columns(axis, angle):
    matrix = matrices_from_vectors(torch.from_numpy(turned(axis, angle)).float())
    rot6d = rot6d_from_matrices(matrix)
    assert torch.equal(rot6d, torch.cat((matrix[:, 0], matrix[:, 1])))
    torch.testing.assert_close(matrices_from_rot6d(rot6d), matrix, atol=1e-5, rtol=0.0)


def test_gradients_are_finite_at_rest():
    vector = torch.zeros(4, 3, requires_grad=True)
    matrices_from_vectors(vector).sum().backward()
    assert torch.isfinite(vector.grad).all()
