"""The emulated FR3's cycle, without sockets and without waiting."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.control.kinematics import Kinematics
from carp_ros.robots import FR3
from carp_ros.sim.franka import protocol as fci
from carp_ros.sim.franka.connection import ArmConnection
from carp_ros.sim.franka.controller import CYCLE_S, LOST_COMMANDS, FrankaController
from carp_ros.sim.franka.hand import Hand, HandConnection
from carp_ros.sim.franka.model import urdf_of
from carp_ros.sim.plant import KinematicPlant

READY = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])
STIFFNESS = np.array([600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0])
DAMPING = np.array([50.0, 50.0, 50.0, 50.0, 30.0, 25.0, 15.0])
NUMBER = 7  # of the MOVE request


@pytest.fixture
def controller() -> FrankaController:
    return FrankaController(FR3, KinematicPlant(READY, CYCLE_S), urdf_of(FR3))


def statuses(controller) -> list[tuple[int, int, int]]:
    """Return command, number and status of the answers that are due, and take them."""
    found = []
    for answer in controller.answers:
        command, number, _ = struct.unpack_from("<III", answer)
        found.append((command, number, answer[12]))
    controller.answers.clear()
    return found


def start(controller, mode, generator) -> None:
    request = fci.MOVE_REQUEST.pack(mode, generator, *[0.0] * 6)
    controller.request(fci.Command.MOVE, NUMBER, request)
    assert statuses(controller) == [(fci.Command.MOVE, NUMBER, fci.MoveStatus.STARTED)]


def command(**changes) -> fci.MotionCommand:
    numbers = {
        "joints": (0.0,) * 7,
        "velocities": (0.0,) * 7,
        "pose": tuple(np.eye(4).ravel()),
        "twist": (0.0,) * 6,
        "torques": (0.0,) * 7,
        "finished": False,
    }
    return fci.MotionCommand(**(numbers | changes))


def hold(controller, target, cycles: int, speed=0.0) -> np.ndarray:
    """Send the torques of a joint impedance law; return the measured joints."""
    joints = []
    for cycle in range(cycles):
        state = controller.state()
        at = target + speed * cycle * CYCLE_S
        torques = STIFFNESS * (at - state.joints) + DAMPING * (speed - np.array(state.velocities))
        controller.command(command(torques=tuple(torques)))
        controller.cycle()
        joints.append(state.joints)
    return np.array(joints)


def test_a_state_is_as_long_as_libfranka_expects(controller):
    assert len(controller.state().to_bytes(1)) == fci.STATE_SIZE


def test_torques_of_an_impedance_law_bring_the_arm_to_its_target(controller):
    start(controller, fci.ControllerMode.EXTERNAL, fci.Generator.JOINT_VELOCITY)
    target = READY + 0.02
    joints = hold(controller, target, 1500)
    np.testing.assert_allclose(joints[-1], target, atol=1e-3)
    assert (joints - READY).max() < 0.022  # no overshoot to speak of
    assert controller.mode is fci.RobotMode.MOVE
    controller.command(command(finished=True))
    assert statuses(controller) == [(fci.Command.MOVE, NUMBER, fci.MoveStatus.SUCCESS)]
    assert controller.mode is fci.RobotMode.IDLE


def test_lost_commands_end_the_motion_with_a_violation_of_communication(controller):
    start(controller, fci.ControllerMode.EXTERNAL, fci.Generator.JOINT_VELOCITY)
    hold(controller, READY, 20)
    for _ in range(LOST_COMMANDS):
        controller.cycle()
    assert controller.mode is fci.RobotMode.MOVE
    controller.cycle()
    assert controller.mode is fci.RobotMode.REFLEX
    assert controller.last_errors == (fci.Error.COMMUNICATION_CONSTRAINTS,)
    assert statuses(controller) == [(fci.Command.MOVE, NUMBER, fci.MoveStatus.REFLEX_ABORTED)]


def test_a_reflex_refuses_motions_until_it_is_recovered(controller):
    controller.reflex()
    controller.request(fci.Command.MOVE, 1, fci.MOVE_REQUEST.pack(2, 1, *[0.0] * 6))
    controller.request(fci.Command.AUTOMATIC_ERROR_RECOVERY, 2, b"")
    assert [status for *_, status in statuses(controller)] == [fci.MoveStatus.NOT_POSSIBLE, 0]
    assert controller.errors == ()
    start(controller, fci.ControllerMode.EXTERNAL, fci.Generator.NONE)


def test_a_user_stop_can_not_be_recovered_before_it_is_released(controller):
    start(controller, fci.ControllerMode.EXTERNAL, fci.Generator.NONE)
    controller.user_stop()
    assert statuses(controller) == [(fci.Command.MOVE, NUMBER, fci.MoveStatus.EMERGENCY_ABORTED)]
    controller.request(fci.Command.AUTOMATIC_ERROR_RECOVERY, 1, b"")
    assert statuses(controller)[0][2] != 0
    assert controller.mode is fci.RobotMode.USER_STOPPED
    controller.release_user_stop()
    assert controller.mode is fci.RobotMode.IDLE


def test_an_arm_that_is_held_stops_with_a_reflex_once_it_pulls_too_hard(controller):
    thresholds = fci.COLLISION_REQUEST.pack(*[20.0] * 28, *[30.0] * 24)
    controller.request(fci.Command.SET_COLLISION_BEHAVIOR, 1, thresholds)
    statuses(controller)
    controller.blocked_at = READY.copy()
    start(controller, fci.ControllerMode.EXTERNAL, fci.Generator.NONE)
    hold(controller, READY, 300, speed=0.2)
    assert controller.last_errors == (fci.Error.JOINT_REFLEX,)
    controller.blocked_at = None
    for _ in range(50):
        controller.cycle()
    np.testing.assert_allclose(controller.plant.joints, READY, atol=1e-9)  # and does not leap


@pytest.mark.parametrize("generator", [*fci.Generator][:4])
def test_set_points_of_every_kind_move_the_arm(controller, generator):
    start(controller, fci.ControllerMode.JOINT_IMPEDANCE, generator)
    arm = Kinematics(FR3, FrankaController.hand_pose)
    before, base_from_ee = arm.tcp_pose(READY), controller.state().base_from_ee
    for cycle in range(1, 201):
        along = 0.05 * cycle * CYCLE_S
        joints = READY.copy()
        joints[0] += along
        pose = np.reshape(base_from_ee, (4, 4)).T.copy()
        pose[2, 3] += along
        controller.command(
            command(
                joints=tuple(joints),
                velocities=(0.05, *[0.0] * 6),
                pose=tuple(pose.T.ravel()),
                twist=(0.0, 0.0, 0.05, 0.0, 0.0, 0.0),
            )
        )
        controller.cycle()
    moved = arm.tcp_pose(controller.plant.joints).position - before.position
    if generator in (fci.Generator.POSE, fci.Generator.TWIST):
        np.testing.assert_allclose(moved, [0.0, 0.0, 0.01], atol=2e-4)
    else:
        np.testing.assert_allclose(controller.plant.joints[0] - READY[0], 0.01, atol=2e-4)
    assert controller.errors == ()


def test_a_set_point_that_leaps_is_a_violation(controller):
    start(controller, fci.ControllerMode.JOINT_IMPEDANCE, fci.Generator.JOINT_POSITION)
    controller.command(command(joints=tuple(READY + 0.1)))
    controller.cycle()
    assert controller.last_errors == (fci.Error.JOINT_GENERATOR_VELOCITY_LIMITS,)
    assert controller.mode is fci.RobotMode.REFLEX


@given(st.binary(max_size=64))
def test_no_bytes_make_more_of_a_connection_than_a_refusal(data):
    controller = FrankaController(FR3, KinematicPlant(READY, CYCLE_S), "")
    for connection in (ArmConnection(controller), HandConnection(controller.hand)):
        with suppress(ValueError):
            connection.receive(data)
    controller.cycle()
    np.testing.assert_allclose(controller.plant.joints, READY)


def run_hand(hand: Hand, seconds: float) -> None:
    closure = 1.0 - hand.width_m / 0.08
    for _ in range(round(seconds / CYCLE_S)):
        closure = hand.cycle(closure)


def test_homing_finds_the_width_and_returns():
    hand = Hand(CYCLE_S, homed=False)
    hand.request(fci.HandCommand.MOVE, 1, fci.HAND_MOVE_REQUEST.pack(0.03, 0.1))
    run_hand(hand, 1.5)
    assert hand.widest_m == 0.0
    hand.request(fci.HandCommand.HOMING, 2, b"")
    run_hand(hand, 4.0)
    assert hand.widest_m == pytest.approx(0.08)
    assert hand.width_m == pytest.approx(0.03, abs=1e-4)
    assert len(hand.answers) == 2


@pytest.mark.parametrize(("blocked_at", "grasped"), [(0.5, True), (None, False)])
def test_a_grasp_succeeds_if_it_ends_within_its_tolerance(blocked_at, grasped):
    hand = Hand(CYCLE_S)
    hand.blocked_at = blocked_at
    request = fci.HAND_GRASP_REQUEST.pack(0.04, 0.005, 0.005, 0.1, 20.0)
    hand.request(fci.HandCommand.GRASP, 1, request)
    if not grasped:
        request = fci.HAND_GRASP_REQUEST.pack(0.02, -0.005, 0.005, 0.1, 20.0)
        hand.request(fci.HandCommand.GRASP, 2, request)
    run_hand(hand, 1.5)
    assert hand.grasped is grasped
