"""Tests for hardware/franka_wrench.py."""

import numpy as np
import pytest

pytest.importorskip("franky", reason="the FR3's drivers need it: pip install 'carp_ros[fr3]'")

from carp_ros.hardware.franka_wrench import FlangeWrench


def test_what_the_robot_does_to_its_environment_is_the_opposite_of_what_pushes_it():
    down = np.diag([1.0, -1.0, -1.0, 1.0])  # the tool points down
    tool = np.eye(4)
    tool[2, 3] = 0.1
    # pressed down onto a table with 10 N, 0.02 m off the axis along x
    pressing = np.array([0.0, 0.0, 10.0, 0.0, -0.2, 0.0])
    found = FlangeWrench(tool, np.eye(4)).of(pressing, down)
    np.testing.assert_allclose(found, [0.0, 0.0, 10.0, 0.0, -0.2, 0.0], atol=1e-12)
    aside = np.array([10.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    found = FlangeWrench(tool, np.eye(4)).of(aside, down)
    # -10 N along x, 0.1 m below the flange: +1 Nm about y
    np.testing.assert_allclose(found, [-10.0, 0.0, 0.0, 0.0, 1.0, 0.0], atol=1e-12)


def test_a_stiffness_frame_of_one_s_own_changes_nothing():
    tool, k = np.eye(4), np.eye(4)
    tool[:3, 3] = [0.01, -0.02, 0.1]
    k[:3, :3] = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    k[:3, 3] = [0.0, 0.03, 0.05]
    at_ee = np.array([1.0, 2.0, 3.0, 0.4, 0.5, 0.6])
    force = k[:3, :3].T @ at_ee[:3]
    torque = k[:3, :3].T @ (at_ee[3:] - np.cross(k[:3, 3], at_ee[:3]))
    own = FlangeWrench(tool, k).of(np.concatenate([force, torque]), np.eye(4))
    np.testing.assert_allclose(own, FlangeWrench(tool, np.eye(4)).of(at_ee, np.eye(4)), atol=1e-12)
