"""The emulated controller's kinematics, against differences of its own forward kinematics."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.geometry import matrix_from_quaternion, quaternion_from_rotvec
from carp_ros.robots import UR5E
from carp_ros.sim.ur.kinematics import UrKinematics

HOME = np.array([-0.3, -1.7, 1.7, -1.6, -1.57, -1.9])
STEP_RAD = 1e-5

six = st.tuples(*[st.floats(-0.5, 0.5)] * 6).map(np.array)


def rotation(pose: np.ndarray) -> np.ndarray:
    return matrix_from_quaternion(quaternion_from_rotvec(pose[3:]))


@given(six, six, six)
def test_joint_speeds_move_the_tool_along_a_feature_s_axes_as_differences_say(off, tool, feature):
    kinematics, joints = UrKinematics(UR5E), HOME + off
    kinematics.tcp_offset = tool
    jacobian = kinematics.jacobian(joints, kinematics.axes_of(feature))
    axes = rotation(feature).T
    for i, step in enumerate(0.5 * STEP_RAD * np.eye(6)):
        before, after = kinematics.forward(joints - step), kinematics.forward(joints + step)
        turned = rotation(after) @ rotation(before).T
        about = np.array([turned[2, 1], turned[0, 2], turned[1, 0]])
        moved = np.concatenate([axes @ (after - before)[:3], axes @ about])
        np.testing.assert_allclose(moved / STEP_RAD, jacobian[:, i], atol=1e-4)
