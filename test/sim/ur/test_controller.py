"""What the controller does cycle by cycle, driven through its registers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.geometry import matrix_from_quaternion, quaternion_from_rotvec
from carp_ros.hardware.ur_safety import UrSafetyMode
from carp_ros.robots import UR5E
from carp_ros.sim.plant import CYCLE_S, KinematicPlant
from carp_ros.sim.ur import program
from carp_ros.sim.ur.controller import Controller, RuntimeState
from carp_ros.sim.ur.safety import RobotMode

HOME = np.array([-0.3, -1.7, 1.7, -1.6, -1.57, -1.9])
PROGRAM = "def rtde_control():\n  sync()\nend\n"


class Cell:
    """A controller and the hand of a client on its registers."""

    def __init__(self, unlock_delay_s: float = 0.1) -> None:
        self.plant = KinematicPlant(HOME)
        self.controller = Controller(
            UR5E, self.plant, unlock_delay_s=unlock_delay_s, power_delay_s=0.02
        )

    def start(self) -> "Cell":
        self.controller.upload(PROGRAM)
        self.run(0.1)
        return self

    def send(self, command: int, *arguments: float) -> None:
        registers = self.controller.registers
        registers.input_double[: len(arguments)] = arguments
        registers.input_int[0] = command
        registers.command_count += 1

    def servo(self, target: np.ndarray) -> None:
        self.send(program.SERVO_J, *target, 0.0, 0.0, CYCLE_S, 0.03, 2000.0)

    def speed(self, *velocities: float) -> None:
        self.send(program.SPEED_J, *velocities, 5.0, 0.0)

    def run(self, duration_s: float) -> np.ndarray:
        """Return the joints of every cycle, the first one before them, of shape (N + 1, 6)."""
        joints = [self.plant.joints.copy()]
        for _ in range(round(duration_s / CYCLE_S)):
            self.controller.cycle()
            joints.append(self.plant.joints.copy())
        return np.array(joints)

    @property
    def answer(self) -> int:
        return int(self.controller.registers.output_int[0])


def steps(joints: np.ndarray) -> np.ndarray:
    return np.abs(np.diff(joints, axis=0)).max(axis=1)


def test_the_program_plays_a_moment_after_its_upload():
    cell = Cell()
    cell.controller.upload(PROGRAM)
    cell.run(0.02)
    assert cell.controller.runtime is RuntimeState.STOPPED
    cell.run(0.06)
    assert (cell.controller.runtime, cell.answer) == (RuntimeState.PLAYING, program.READY)


def test_a_program_that_replaces_another_waits_until_the_arm_stands():
    cell = Cell().start()
    cell.speed(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    cell.run(0.3)
    cell.send(0)
    cell.controller.upload(PROGRAM)
    slowing = steps(cell.run(0.2))
    assert cell.controller.runtime is RuntimeState.PLAYING
    assert np.abs(np.diff(slowing)).max() < 11.0 * CYCLE_S**2  # never a jolt beyond 11 rad/s2


def test_other_programs_are_not_run():
    cell = Cell()
    cell.controller.upload("def dance():\n  popup()\nend\n")
    cell.run(0.1)
    assert cell.controller.runtime is RuntimeState.STOPPED
    assert b"only ur-rtde" in cell.controller.messages[0]


def test_a_streamed_target_is_reached_and_held():
    cell = Cell().start()
    cell.servo(HOME + 0.05)
    cell.run(0.5)
    np.testing.assert_allclose(cell.run(0.1), np.tile(HOME + 0.05, (51, 1)), atol=1e-5)


def test_move_j_ends_exactly_there_and_answers_done_only_then():
    cell = Cell().start()
    cell.send(program.MOVE_J, *(HOME + 0.2), 1.0, 2.0)
    cell.run(0.3)
    assert cell.answer == program.READY
    moved = cell.run(1.0)
    assert cell.answer == program.DONE
    np.testing.assert_array_equal(moved[-1], HOME + 0.2)


def test_move_l_keeps_the_tool_on_the_straight_line():
    cell = Cell().start()
    forward = cell.controller.kinematics.forward
    start = forward(HOME)
    end = start + np.array([0.05, 0.05, -0.05, 0.0, 0.0, 0.0])
    cell.send(program.MOVE_L, *end, 0.25, 1.0)
    places = np.array([forward(joints)[:3] for joints in cell.run(1.0)])
    along = (end - start)[:3] / np.linalg.norm((end - start)[:3])
    off_line = (places - start[:3]) - np.outer((places - start[:3]) @ along, along)
    assert np.abs(off_line).max() < 1e-6
    np.testing.assert_allclose(places[-1], end[:3], atol=1e-6)


def test_a_pose_out_of_reach_ends_the_program():
    cell = Cell().start()
    cell.send(program.MOVE_L, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25, 1.0)
    cell.run(0.01)
    assert cell.controller.runtime is RuntimeState.STOPPED
    assert any(b"unable to find a solution" in text for text in cell.controller.messages)


def test_inverse_kinematics_undo_forward_kinematics():
    cell = Cell().start()
    joints = HOME + np.array([0.3, 0.1, -0.2, 0.1, 0.2, -0.4])
    cell.controller.kinematics.tcp_offset = np.array([0.0, 0.01, 0.15, 0.0, 0.0, 0.3])
    pose = cell.controller.kinematics.forward(joints)
    cell.send(program.INVERSE_NEAR, *pose, *HOME, 1e-6, 1e-6)
    cell.run(CYCLE_S)
    np.testing.assert_allclose(cell.controller.registers.output_double[:6], joints, atol=1e-5)


def test_a_new_program_first_obeys_the_command_that_still_stands_in_the_registers():
    """This is why a driver must clear the registers before it starts the program anew."""
    cell = Cell().start()
    cell.servo(HOME + 0.1)
    cell.run(0.02)
    cell.controller.stop_program()
    stopped = cell.run(0.5)[-1]
    cell.start()
    assert np.abs(cell.run(0.3)[-1] - stopped).max() > 0.01


def test_the_watchdog_stops_the_program_and_the_arm_slows_down():
    cell = Cell().start()
    cell.send(program.WATCHDOG, 20.0)
    cell.run(CYCLE_S)
    cell.speed(0.5, 0.0, 0.0, 0.0, 0.0, 0.0)
    cell.run(0.048)
    assert cell.controller.runtime is RuntimeState.PLAYING
    slowing = steps(cell.run(0.2))
    assert cell.controller.runtime is RuntimeState.STOPPED
    assert slowing[-1] == 0.0
    assert 0.0 < slowing[6] < 0.5 * CYCLE_S  # it decelerates; it does not freeze


def test_without_watchdog_a_silent_client_moves_the_arm_for_ever():
    cell = Cell().start()
    cell.speed(0.1, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert steps(cell.run(3.0))[-1] == pytest.approx(0.1 * CYCLE_S)


def test_two_motions_at_once_end_the_program():
    cell = Cell().start()
    cell.servo(HOME)
    cell.run(0.01)
    cell.send(program.MOVE_J, *(HOME + 0.1), 1.0, 1.0)
    cell.run(0.01)
    assert cell.controller.runtime is RuntimeState.STOPPED
    assert any(b"Another thread" in text for text in cell.controller.messages)


def test_a_protective_stop_pauses_the_program_for_good():
    cell = Cell().start()
    cell.speed(0.5, 0.0, 0.0, 0.0, 0.0, 0.0)
    cell.run(0.3)
    cell.controller.protective_stop()
    assert steps(cell.run(0.2))[-1] == 0.0
    assert cell.controller.runtime is RuntimeState.PAUSED
    assert cell.controller.safety.unlock(cell.controller.time_s) is None
    assert steps(cell.run(0.2)).max() == 0.0
    assert cell.controller.runtime is RuntimeState.PAUSED


def test_a_protective_stop_is_not_unlocked_too_early():
    cell = Cell(unlock_delay_s=5.0)
    cell.controller.protective_stop()
    cell.run(4.9)
    assert "until 5s" in str(cell.controller.safety.unlock(cell.controller.time_s))
    cell.run(0.2)
    assert cell.controller.safety.unlock(cell.controller.time_s) is None


def test_nothing_plays_while_the_arm_is_stopped():
    cell = Cell()
    cell.controller.protective_stop()
    cell.start()
    assert cell.controller.runtime is RuntimeState.STOPPED


@pytest.mark.parametrize(
    ("elbow_rad_s", "duration_s"), [(4.0, 0.9), (1.5, 1.5)], ids=["too fast", "too far"]
)
def test_a_set_point_beyond_the_limits_is_a_protective_stop(elbow_rad_s, duration_s):
    cell = Cell().start()
    cell.speed(0.0, 0.0, elbow_rad_s, 0.0, 0.0, 0.0)
    joints = cell.run(duration_s)
    assert steps(joints).max() <= max(UR5E.max_speed_rad_s) * CYCLE_S * (1 + 1e-6)
    assert cell.controller.safety.safety_mode is UrSafetyMode.PROTECTIVE_STOP


def test_a_target_that_is_no_number_ends_the_program_without_motion():
    cell = Cell().start()
    cell.servo(np.full(6, np.nan))
    assert steps(cell.run(0.1)).max() == 0.0
    assert cell.controller.runtime is RuntimeState.STOPPED


def test_after_an_emergency_stop_power_and_brakes_come_back_in_order():
    cell = Cell().start()
    safety = cell.controller.safety
    cell.controller.emergency_stop()
    safety.power_on(cell.controller.time_s)
    cell.run(0.1)
    assert safety.robot_mode is RobotMode.POWER_OFF
    safety.release_emergency_stop()
    safety.brake_release(cell.controller.time_s)
    cell.run(0.1)
    assert safety.robot_mode is RobotMode.POWER_OFF
    safety.power_on(cell.controller.time_s)
    cell.run(0.1)
    assert safety.robot_mode is RobotMode.IDLE
    safety.brake_release(cell.controller.time_s)
    cell.run(0.1)
    assert safety.may_move


numbers = st.lists(st.floats(-0.3, 0.3), min_size=6, max_size=6).map(np.array)
events = st.one_of(
    st.tuples(st.just("servo"), numbers),
    st.tuples(st.just("speed"), numbers.map(lambda x: 10 * x)),
    st.tuples(st.just("move"), numbers),
    st.tuples(st.sampled_from(["stop", "kill", "protective_stop", "upload", "restore"])),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(events, st.integers(1, 60)), max_size=12))
def test_whatever_happens_the_set_point_never_jumps(history):
    cell = Cell(unlock_delay_s=0.0).start()
    for (name, *values), cycles in history:
        if name == "servo":
            cell.servo(cell.controller.point.joints + values[0])
        elif name == "speed":
            cell.speed(*values[0])
        elif name == "move":
            cell.send(program.MOVE_J, *(HOME + values[0]), 1.0, 3.0)
        elif name == "stop":
            cell.send(program.SERVO_STOP, 5.0)
        elif name == "upload":
            cell.controller.upload(PROGRAM)
        elif name == "kill":
            cell.controller.stop_program()
        else:
            getattr(cell.controller, name)()
        joints = cell.run(cycles * CYCLE_S)
        assert steps(joints).max() <= max(UR5E.max_speed_rad_s) * CYCLE_S * (1 + 1e-6)


def test_the_slider_slows_how_a_target_is_followed_and_is_put_back_with_all_else():
    times = []
    for fraction in (1.0, 0.25):
        cell = Cell().start()
        cell.controller.point.speed_fraction = fraction
        cell.servo(HOME + 0.05)
        near = np.abs(cell.run(1.0) - HOME - 0.05).max(axis=1) < 0.01
        times.append(int(np.argmax(near)))
    assert 2.0 < times[1] / times[0] < 4.1
    cell.controller.restore()
    assert cell.controller.point.speed_fraction == 1.0


@pytest.mark.parametrize(("slept_s", "plays"), [(0.09, True), (0.11, False)])
def test_commands_that_a_paused_machine_missed_do_not_move_the_arm(slept_s, plays):
    cell = Cell().start()
    cell.send(program.WATCHDOG, 20.0)
    cell.run(0.004)
    cell.send(0)
    cell.run(0.004)
    cell.controller.slept(slept_s)
    cell.servo(HOME + 0.2)  # what lay in the sockets meanwhile
    moved = cell.run(0.03)
    assert (cell.controller.runtime is RuntimeState.PLAYING) is plays
    assert steps(moved).any() == plays


def test_a_hands_push_is_reported_at_the_flange_in_the_axes_of_ur_s_base():
    cell = Cell().start()
    cell.controller.push = np.array([1.0, 2.0, 3.0, 0.1, 0.2, 0.3])
    assert cell.controller.tcp_force == (-1.0, -2.0, 3.0, -0.1, -0.2, 0.3)
    assert not steps(cell.run(0.1)).any()  # a stiff arm does not yield
    cell.controller.restore()
    assert not any(cell.controller.tcp_force)


SIDEWAYS = np.array([0.0, 20.0, 0.0, 0.0, 0.0, 0.0])


def taught(cell: Cell) -> Cell:
    cell.send(program.TEACH)
    cell.run(0.02)
    assert cell.answer == program.DONE
    cell.send(0)
    cell.run(0.02)
    assert cell.controller.guided
    return cell


def test_in_teach_mode_the_arm_stands_until_a_hand_pushes_it_and_then_yields():
    cell = taught(Cell().start())
    assert not steps(cell.run(0.1)).any()
    cell.controller.push = SIDEWAYS
    flange = cell.controller.kinematics.forward(cell.plant.joints)
    cell.run(0.5)
    moved = cell.controller.kinematics.forward(cell.plant.joints) - flange
    assert moved[1] < -0.02  # UR's base is turned


def test_the_end_of_teach_mode_brakes_the_arm_and_a_motion_before_it_stands_is_a_second_one():
    cell = taught(Cell().start())
    cell.controller.push = SIDEWAYS
    cell.run(0.5)
    cell.send(program.END_TEACH)
    braking = steps(cell.run(0.02))
    assert not cell.controller.guided
    assert (np.diff(braking) <= 1e-12).all()
    assert cell.answer == program.DONE
    cell.send(0)
    cell.run(0.004)
    assert cell.plant.velocities.any()
    cell.servo(cell.plant.joints)
    cell.run(0.02)
    assert cell.controller.runtime is RuntimeState.STOPPED


def test_teach_mode_while_a_thread_still_controls_the_arm_ends_the_program():
    cell = Cell().start()
    cell.servo(HOME)
    cell.run(0.02)
    cell.send(program.TEACH)
    cell.run(0.02)
    assert cell.controller.runtime is RuntimeState.STOPPED


@pytest.mark.parametrize("free", [lambda cell: taught(cell), lambda cell: freed(cell, XY)])
@pytest.mark.parametrize("cause", ["watchdog", "protective_stop", "stop_program", "emergency_stop"])
def test_whatever_ends_the_program_ends_its_freedrive(cause, free):
    cell = Cell().start()
    cell.send(program.WATCHDOG, 20.0)
    cell.run(0.02)
    cell.send(0)
    cell.run(0.004)
    free(cell)
    cell.controller.push = SIDEWAYS
    cell.run(0.03)
    if cause != "watchdog":
        getattr(cell.controller, cause)()
    cell.run(0.3)
    assert not cell.controller.guided
    assert not steps(cell.run(0.1)).any()


XY = (1, 1, 0, 0, 0, 0)
IN_BASE = np.zeros(6)
HELD_M, HELD_RAD = 1e-5, 1e-5
wrenches = st.tuples(*[st.floats(-15.0, 15.0)] * 3, *[st.floats(-1.0, 1.0)] * 3).map(np.array)
poses = st.tuples(*[st.floats(-1.0, 1.0)] * 6).map(np.array)


def freed(cell: Cell, free: tuple[int, ...], feature: np.ndarray = IN_BASE) -> Cell:
    cell.controller.registers.input_int[1:7] = list(free)
    cell.send(program.FREEDRIVE, *feature)
    cell.run(0.02)
    assert cell.answer == program.DONE
    cell.send(0)
    cell.run(0.02)
    assert cell.controller.guided
    return cell


def rotation(pose: np.ndarray) -> np.ndarray:
    return matrix_from_quaternion(quaternion_from_rotvec(pose[3:]))


def moved_in(feature: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return how far a tool moved along the feature's axes [m], and turned about them [rad]."""
    axes = rotation(feature).T
    turned = axes @ rotation(after) @ rotation(before).T @ axes.T
    about = 0.5 * (turned - turned.T)[[2, 0, 1], [1, 2, 0]]
    return np.concatenate([axes @ (after - before)[:3], about])


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(0, 1)] * 3, *[st.just(0)] * 3),
    st.sampled_from([None, 3, 4, 5]),
    poses,
    poses,
    wrenches,
)
def test_however_a_hand_pushes_the_tool_stays_where_it_is_along_locked_axes(
    along, about, feature, tool, push
):
    free = np.array(along)
    if about is not None:  # about two of three axes, turns one after the other make the third
        free[about] = 1
    cell = Cell().start()
    kinematics = cell.controller.kinematics
    kinematics.tcp_offset = 0.2 * tool
    before = kinematics.forward(cell.plant.joints)
    freed(cell, tuple(free), feature)
    cell.controller.push = push
    cell.run(0.4)
    moved = np.abs(moved_in(feature, before, kinematics.forward(cell.plant.joints)))
    held = np.repeat([HELD_M, HELD_RAD], 3)
    assert (moved[free == 0] < held[free == 0]).all()


def test_long_guiding_does_not_make_the_tool_drift_off_along_locked_axes():
    cell = Cell().start()
    before = cell.controller.kinematics.forward(cell.plant.joints)
    freed(cell, XY)
    for angle in np.arange(0.0, 20.0, 0.3):
        cell.controller.push = np.array([15 * np.cos(angle), 15 * np.sin(angle), 5, 0.5, -0.5, 0.5])
        cell.run(0.1)
    after = cell.controller.kinematics.forward(cell.plant.joints)
    moved = np.abs(moved_in(IN_BASE, before, after))
    assert moved[:2].max() > 0.01
    assert (moved[2:] < 1e-7).all()


@pytest.mark.parametrize("axis", range(6))
def test_along_and_about_the_only_free_axis_the_arm_yields(axis):
    cell = Cell().start()
    feature = np.array([0.0, 0.0, 0.0, 0.4, -0.3, 0.8])
    before = cell.controller.kinematics.forward(cell.plant.joints)
    freed(cell, tuple(int(i == axis) for i in range(6)), feature)
    assert not steps(cell.run(0.1)).any()  # nobody pushes
    along = rotation(feature)[:, axis % 3] * [-1.0, -1.0, 1.0]  # UR's base is turned
    cell.controller.push[:3] = 15.0 * along * (axis < 3)
    cell.controller.push[3:] = 3.0 * along * (axis > 2)
    cell.run(0.5)
    after = cell.controller.kinematics.forward(cell.plant.joints)
    assert moved_in(feature, before, after)[axis] > 0.01


def test_freedrive_along_all_axes_yields_as_teach_mode_does():
    cells = [taught(Cell().start()), freed(Cell().start(), (1,) * 6)]
    for cell in cells:
        cell.controller.push = SIDEWAYS
    np.testing.assert_allclose(cells[0].run(0.3), cells[1].run(0.3), atol=1e-12)


def test_each_mode_is_ended_by_its_own_command_only():
    free = [taught(Cell().start()), freed(Cell().start(), XY)]
    ends = [program.END_TEACH, program.END_FREEDRIVE]
    for cell, other, own in zip(free, reversed(ends), ends, strict=True):
        for end, guided in ((other, True), (own, False)):
            cell.send(end)
            cell.run(0.02)
            assert cell.answer == program.DONE
            assert cell.controller.guided is guided
            cell.send(0)
            cell.run(0.02)


@pytest.mark.parametrize(("wrist_rad", "status"), [(-1.57, 0), (-0.3, 1), (-0.05, 2)])
def test_freedrive_tells_how_close_a_singularity_is(wrist_rad, status):
    cell = Cell()
    cell.controller.point.joints[4] = wrist_rad
    cell.start().send(program.FREEDRIVE_STATUS)
    cell.run(0.02)
    assert cell.controller.registers.output_int[1] == status
