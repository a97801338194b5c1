"""Tests for the steps of a first motion, with the package's own servo as the arm."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from carp_ros.commissioning.first_steps import (
    CentimetreStep,
    HoldStep,
    ReadStep,
    readings_text,
)
from carp_ros.commissioning.limit_steps import BoxFaceStep, JointStopStep, SpeedStep
from carp_ros.commissioning.step import StepError
from carp_ros.commissioning.stop_steps import (
    DeadmanStep,
    EmergencyStopStep,
    StopStep,
    figures_of,
)
from carp_ros.commissioning.track import Stop
from carp_ros.errors import DeviceError
from carp_ros.reports.control import Fault, StoppedError
from carp_ros.rig import load_rig
from carp_ros.rig_devices import Ros2ControlArmConfig
from carp_ros.rig_pointers import GamepadConfig
from carp_ros.types import SafetyState

from .fake_arm import FakeArm, FakePerson, cell_of

CONFIG = Path(__file__).parents[2] / "config"
RIGS = {name: load_rig(CONFIG / f"{name}.yaml") for name in ("ur5e", "fr3")}
UR5E = RIGS["ur5e"]
NEAR_A_STOP = dataclasses.replace(
    UR5E, home_joints_rad=(*UR5E.home_joints_rad[:-1], -2.0 * math.pi + 0.4)
)


def carried_out(step, cell):
    step.plan(cell)
    return {figure.name: figure for figure in step.carry_out(cell)}


def wrong(figures):
    return {name for name, figure in figures.items() if not figure.is_expected}


@pytest.fixture(params=RIGS)
def rig(request):
    return RIGS[request.param]


@pytest.mark.parametrize(
    "step", [ReadStep(), HoldStep(), CentimetreStep(), BoxFaceStep(), SpeedStep(), StopStep()]
)
def test_an_arm_within_its_limits_passes_and_comes_back(step, rig):
    cell = cell_of(rig)
    start = cell.arm.reading().tool.position
    assert wrong(carried_out(step, cell)) == set()
    assert np.linalg.norm(cell.arm.reading().tool.position - start) < 0.002
    assert not cell.arm.enabled


def test_reading_moves_nothing_and_enables_nothing(rig):
    cell = cell_of(rig)
    carried_out(ReadStep(), cell)
    assert (cell.arm.enables, cell.arm.sent) == ([], 0)
    assert ReadStep().plan(cell) == ""


def test_readings_that_do_not_agree_end_it():
    cell = cell_of(UR5E, person=FakePerson(declines=0))
    with pytest.raises(StepError, match="do not agree"):
        ReadStep().carry_out(cell)


def test_a_latched_fault_is_not_reset_here():
    cell = cell_of(UR5E)
    cell.arm.latch(Fault.SAFETY_STOP)
    with pytest.raises(DeviceError, match="SAFETY_STOP"):
        ReadStep().carry_out(cell)
    assert cell.arm.fault is Fault.SAFETY_STOP


def test_a_ur_s_screen_shows_its_base_turned_by_half_a_turn():
    cell = cell_of(UR5E)
    x, y, z = cell.arm.reading().tool.position * 1e3
    text = readings_text(UR5E, cell.arm.reading())
    assert f"x {x:.1f}, y {y:.1f}, z {z:.1f} mm in base_link" in text
    assert f"X {-x:.1f}, Y {-y:.1f}, Z {z:.1f} mm" in text


def test_a_franka_s_screen_shows_our_base():
    cell = cell_of(RIGS["fr3"])
    x, _, z = cell.arm.reading().tool.position * 1e3
    text = readings_text(RIGS["fr3"], cell.arm.reading())
    assert f"X {x:.1f}" in text
    assert f"Z {z:.1f}" in text


def test_an_arm_that_sags_is_found_while_it_holds():
    cell = cell_of(UR5E, FakeArm(UR5E, drift_m_s=0.002))
    assert wrong(carried_out(HoldStep(), cell)) == {"drift_m"}


def test_a_centimetre_that_the_person_did_not_see_fails():
    cell = cell_of(UR5E, person=FakePerson(declines=0))
    with pytest.raises(StepError, match="did not move as it was told"):
        CentimetreStep().carry_out(cell)


def test_the_centimetre_is_at_a_tenth_of_the_speed(rig):
    figures = carried_out(CentimetreStep(), cell_of(rig))
    limit = rig.limits.max_linear_speed_m_s
    assert figures["peak_speed_m_s"].value == pytest.approx(0.1 * limit, rel=0.15)


def test_an_arm_that_leaves_the_box_is_found():
    low = UR5E.limits.workspace_min_m
    low = tuple(x - 0.1 for x in low)
    arm = FakeArm(UR5E, workspace_min_m=low, workspace_max_m=(0.75, 0.5, 0.6))
    cell = cell_of(UR5E, arm)
    assert wrong(carried_out(BoxFaceStep(), cell)) == {"beyond_the_face_m"}


def test_an_arm_that_stops_short_of_the_face_is_found():
    low = tuple(x + 0.02 for x in UR5E.limits.workspace_min_m)
    high = tuple(x - 0.02 for x in UR5E.limits.workspace_max_m)
    cell = cell_of(UR5E, FakeArm(UR5E, workspace_min_m=low, workspace_max_m=high))
    assert wrong(carried_out(BoxFaceStep(), cell)) == {"short_of_the_face_m"}


def test_a_faster_arm_than_the_rig_s_file_says_is_found():
    cell = cell_of(UR5E, FakeArm(UR5E, max_linear_speed_m_s=0.25))
    assert wrong(carried_out(SpeedStep(), cell)) == {"peak_speed_m_s"}


def test_the_speed_asked_for_is_above_the_limit_and_not_reached(rig):
    figures = carried_out(SpeedStep(), cell_of(rig))
    limit = rig.limits.max_linear_speed_m_s
    assert 0.9 * limit < figures["peak_speed_m_s"].value < 1.05 * limit


def test_a_joint_stays_before_its_stop_and_comes_back():
    cell = cell_of(NEAR_A_STOP)
    before = cell.arm.joints
    figures = carried_out(JointStopStep(), cell)
    assert wrong(figures) == set()
    assert figures["short_of_the_margin_rad"].value == pytest.approx(0.0, abs=0.01)
    assert cell.arm.joints == pytest.approx(before, abs=0.03)


def test_an_elbow_keeps_the_last_joint_off_its_stop_and_the_person_is_told():
    cell = cell_of(RIGS["fr3"])
    assert "elbow" in JointStopStep().plan(cell)
    figures = carried_out(JointStopStep(), cell)
    assert wrong(figures) == set()
    assert figures["past_a_margin_rad"].value < 0.0


def test_a_smaller_margin_than_the_rig_s_file_says_is_found():
    cell = cell_of(NEAR_A_STOP, FakeArm(NEAR_A_STOP, joint_margin_rad=0.02))
    assert wrong(carried_out(JointStopStep(), cell)) == {"past_a_margin_rad"}


def test_an_arm_that_is_not_stopped_by_the_person_ends_the_step():
    person = FakePerson()
    person.presses_after = None
    with pytest.raises(StepError, match="Enter was not pressed"):
        StopStep().carry_out(cell_of(UR5E, person=person))


@pytest.mark.parametrize(
    ("stop", "found"),
    [
        (Stop(0.05, 0.2, 0.01), set()),
        (Stop(0.05, 0.2, 0.03), {"stopped_within_m"}),
        (Stop(0.05, 0.9, 0.01), {"stopped_within_s"}),
        (Stop(0.0, 0.0, 0.0), {"speed_m_s"}),  # it stood still: nothing was shown
    ],
)
def test_a_stop_is_judged_by_its_time_and_way(stop, found):
    assert wrong({figure.name: figure for figure in figures_of(stop, UR5E.limits)}) == found


def test_a_stop_at_a_turning_point_shows_nothing_and_is_done_again():
    person = FakePerson()
    person.presses_after = 0  # before it moves
    cell = cell_of(UR5E, person=person)
    asked = person.confirm

    def confirm(question):
        person.presses_after = 10**6
        cell.arm.on_wait = lambda now_s: setattr(
            person, "presses_after", 0 if cell.arm._speed_m_s > 0.02 else 10**6
        )
        return asked(question)

    person.confirm = confirm
    assert wrong(carried_out(StopStep(), cell)) == set()
    assert ["Once more?" in question for question in person.questions] == [True, False]


def test_it_goes_back_after_a_stop_only_if_the_person_agrees():
    person = FakePerson(declines=0)
    person.presses_after = 8
    cell = cell_of(UR5E, person=person)
    start = cell.arm.reading().tool.position
    carried_out(StopStep(), cell)
    assert np.linalg.norm(cell.arm.reading().tool.position - start) > 0.005
    assert len(cell.arm.enables) == 1


def test_letting_go_of_the_button_is_measured():
    cell = cell_of(UR5E)

    def hand(now_s):
        if 0.5 < now_s < 1.5:
            cell.arm.push((0.0, 0.0, 0.05))
        else:
            cell.arm.deadman = False

    cell.arm.on_wait = hand
    figures = carried_out(DeadmanStep(), cell)
    assert wrong(figures) == set()
    assert figures["speed_m_s"].value == pytest.approx(0.05, rel=0.3)


def test_a_button_that_is_let_go_without_motion_does_not_count():
    cell = cell_of(UR5E)

    def hand(now_s):
        cell.arm._linear = np.zeros(3)
        cell.arm.deadman = 0.5 < now_s < 1.5

    cell.arm.on_wait = hand
    with pytest.raises(StepError, match="while the arm moved"):
        DeadmanStep().carry_out(cell)


def test_an_arm_that_is_stopped_while_the_button_is_awaited_says_why():
    cell = cell_of(UR5E)
    cell.arm.on_wait = lambda now_s: cell.arm.latch(Fault.ROBOT_SILENT) if now_s > 1.0 else None
    with pytest.raises(StoppedError) as stopped:
        DeadmanStep().carry_out(cell)
    assert stopped.value.fault is Fault.ROBOT_SILENT
    assert cell.arm.now_ns() < 10**12 + 2 * 10**9


def test_an_arm_that_goes_on_without_the_button_is_found():
    cell = cell_of(UR5E)

    def hand(now_s):
        cell.arm.push((0.0, 0.0, 0.02))  # the arm never hears that it was let go
        if now_s > 1.5:
            cell.arm.let_go_unheard()

    cell.arm.on_wait = hand
    figures = carried_out(DeadmanStep(), cell)
    assert wrong(figures) & {"stopped_within_s", "stopped_within_m"}


def stopped_after_2_s(rig, fault, safety, person=None):
    cell = cell_of(rig, person=person)
    cell.arm.on_wait = lambda now_s: cell.arm.latch(fault, safety) if now_s > 2.0 else None
    return cell


@pytest.mark.parametrize("safety", [SafetyState.EMERGENCY_STOP, SafetyState.SAFEGUARD_STOP])
def test_the_emergency_stop_is_seen(safety):
    cell = stopped_after_2_s(UR5E, Fault.SAFETY_STOP, safety)
    assert 1.5 < carried_out(EmergencyStopStep(), cell)["pressed_after_s"].value < 4.0


@pytest.mark.parametrize(
    ("fault", "safety", "said"),
    [
        (Fault.ROBOT_SILENT, SafetyState.NORMAL, "ROBOT_SILENT"),
        (Fault.SAFETY_STOP, SafetyState.PROTECTIVE_STOP, "PROTECTIVE_STOP"),  # it hit something
        (Fault.SAFETY_STOP, SafetyState.FAULT, "FAULT"),
        (Fault.SAFETY_STOP, SafetyState.NORMAL, "NORMAL"),
    ],
)
def test_a_stop_of_another_kind_is_not_the_emergency_stop(fault, safety, said):
    with pytest.raises(StepError, match=said):
        EmergencyStopStep().carry_out(stopped_after_2_s(UR5E, fault, safety))


@pytest.mark.parametrize("pressed", [True, False])
def test_where_the_driver_knows_no_safety_state_the_person_says_what_was_pressed(pressed):
    rig = dataclasses.replace(UR5E, arm=Ros2ControlArmConfig())
    person = FakePerson(declines=None if pressed else 0)
    cell = stopped_after_2_s(rig, Fault.NOT_READY, SafetyState.NORMAL, person)
    if pressed:
        assert EmergencyStopStep().carry_out(cell)
    else:
        with pytest.raises(StepError, match="was not pressed"):
            EmergencyStopStep().carry_out(cell)


def test_without_room_the_speed_is_not_tried():
    limits = dataclasses.replace(
        UR5E.limits,
        workspace_min_m=(0.44, -0.06, 0.25),
        workspace_max_m=(0.56, 0.06, 0.38),
    )
    rig = dataclasses.replace(UR5E, limits=limits)
    cell = cell_of(rig)
    position = cell.arm.reading().tool.position
    tight = dataclasses.replace(
        limits,
        workspace_min_m=tuple(position - 0.05),
        workspace_max_m=tuple(position + 0.05),
    )
    with pytest.raises(StepError, match="of room"):
        SpeedStep().plan(cell_of(dataclasses.replace(UR5E, limits=tight)))


@pytest.mark.parametrize("set_s", [-3600.0, -1.0, 1.0, 3600.0])
@pytest.mark.parametrize("step", [CentimetreStep(), StopStep(), EmergencyStopStep()])
def test_a_clock_that_is_set_while_the_arm_moves_ends_the_step(step, set_s):
    """The plan's times are no longer those of now: the arm would leap along its path."""
    cell = cell_of(UR5E)
    cell.person.presses_after = None

    def set_clock(now_s):
        cell.arm.clock_set_ns = round(set_s * 1e9) if now_s > 1.0 else 0

    cell.arm.on_wait = set_clock
    with pytest.raises(StepError, match="clock was set"):
        step.carry_out(cell)
    assert cell.arm.steady_ns() < 10**12 + 3 * 10**9


def test_a_person_is_waited_for_as_long_as_was_said_whatever_the_clock_says():
    cell = cell_of(UR5E)

    def set_clock(now_s):
        cell.arm.clock_set_ns = -3600 * 10**9 if now_s > 1.0 else 0

    cell.arm.on_wait = set_clock
    with pytest.raises(StepError, match="within 60 s"):
        DeadmanStep().carry_out(cell)
    assert cell.arm.steady_ns() < 10**12 + 62 * 10**9


@pytest.mark.parametrize("jump_m", [0.05, 0.15])
def test_how_far_beyond_the_face_the_arm_is_asked_to_go_is_said(jump_m):
    limits = dataclasses.replace(UR5E.limits, max_jump_m=jump_m)
    cell = cell_of(dataclasses.replace(UR5E, limits=limits))
    assert f"up to {0.4 * jump_m * 100 + 3:.0f} cm beyond that face" in BoxFaceStep().plan(cell)


def test_the_person_is_told_of_the_rig_s_own_pointer_and_its_button():
    assert "dead-man button of the spacemouse (LARGE_LEFT)" in DeadmanStep().plan(cell_of(UR5E))
    teleop = dataclasses.replace(UR5E.teleop, pointer=GamepadConfig(hand="left"))
    cell = cell_of(dataclasses.replace(UR5E, teleop=teleop))
    assert "dead-man button of the gamepad (BTN_TR)" in DeadmanStep().plan(cell)
