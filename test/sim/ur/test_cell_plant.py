"""The emulated controller with the physics behind it, without sockets and without waiting."""

import os

import numpy as np
import pytest

from carp_ros.errors import DeviceError
from carp_ros.processes.mailbox import Mailbox
from carp_ros.sim.cell import Cell
from carp_ros.sim.cell_plant import CellPlant
from carp_ros.sim.plant import CYCLE_S
from carp_ros.sim.tasks import task_named
from carp_ros.sim.ur import program, robotiq
from carp_ros.sim.ur.controller import Controller, RuntimeState


@pytest.fixture
def cell(rig) -> Cell:
    return Cell(rig, task_named("cup"), visuals=False)


@pytest.fixture
def controller(rig, cell) -> Controller:
    controller = Controller(rig.robot, CellPlant(cell, None))
    controller.upload("def rtde_control():\nend\n")
    run(controller, 0.1)
    return controller


def run(controller: Controller, duration_s: float) -> np.ndarray:
    """Return the measured joints of every cycle, of shape (N, 6)."""
    joints = []
    for _ in range(round(duration_s / CYCLE_S)):
        controller.cycle()
        joints.append(controller.plant.joints.copy())
    return np.array(joints)


def speed(controller: Controller, pan_rad_s: float) -> None:
    controller.registers.input_double[:8] = [pan_rad_s, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0]
    controller.registers.input_int[0] = program.SPEED_J


def test_a_killed_program_lets_the_arm_slow_down_by_physics(controller):
    speed(controller, 0.5)
    moving = run(controller, 0.5)
    controller.stop_program()
    stopping = run(controller, 0.5)
    assert controller.runtime is RuntimeState.STOPPED
    speeds = np.diff(np.vstack([moving[-2:], stopping])[:, 0]) / CYCLE_S
    assert speeds[0] == pytest.approx(0.5, rel=0.02)
    assert np.abs(np.diff(speeds)).max() / CYCLE_S < 25.0  # rad/s2: no teleport, no jolt
    assert abs(speeds[-1]) < 1e-3


def test_the_arm_keeps_to_the_set_point(controller):
    controller.registers.input_double[:11] = [
        *controller.point.joints + 0.1,
        0,
        0,
        0.002,
        0.03,
        2e3,
    ]
    controller.registers.input_int[0] = program.SERVO_J
    run(controller, 1.0)
    assert np.abs(controller.plant.joints - controller.point.joints).max() < 2e-3


def test_empty_fingers_close_without_holding_anything(controller):
    controller.fingers.request({"ACT": 1})
    run(controller, 0.8)
    controller.fingers.request({"POS": 230, "SPE": 255, "FOR": 50, "GTO": 1})
    run(controller, 0.3)
    assert controller.fingers.variables["OBJ"] == robotiq.MOVING
    run(controller, 1.0)
    assert controller.fingers.variables["OBJ"] == robotiq.ARRIVED


def test_published_states_restore_another_cell(rig, cell):
    name = f"test_{os.getpid()}"
    plant = CellPlant(cell, name)
    try:
        plant.scatter(seed=7, level="normal")
        plant.drive(plant.joints + 0.1, 0.5)
        for _ in range(50):
            plant.advance()
        plant.publish(wall_ns=123)
        record = Mailbox(name, cell.snapshot_dtype, create=False).read()
        assert record is not None
        other = Cell(rig, task_named("cup"), visuals=False)
        other.restore(record)
        assert int(record["wall_ns"]) == 123
        np.testing.assert_array_equal(other.joints, cell.joints)
        assert other.seed == 7
    finally:
        plant.close()
    with pytest.raises(DeviceError, match="no shared record"):
        Mailbox(name, cell.snapshot_dtype, create=False)


def test_the_task_is_judged_and_unknown_levels_are_refused(cell):
    plant = CellPlant(cell, None)
    verdict = plant.judge()
    assert not verdict["success"]
    assert verdict["reasons"]
    with pytest.raises(DeviceError, match="level is 'absurd'"):
        plant.scatter(seed=0, level="absurd")


def test_what_is_asked_for_is_the_seeds_choice_or_an_instruction_that_the_scene_allows(rig):
    plant = CellPlant(Cell(rig, task_named("two_cups"), visuals=False), None)
    asked = plant.scatter(seed=3, level="normal")["instruction"]
    goals = plant._cell.staging.goals
    assert asked == f"put the {goals[0].moved_words} on the green field"
    other = f"could you move the {goals[1].moved_words} to the green field"
    assert plant.scatter(seed=3, level="normal", instruction=other)["instruction"] == other
    assert plant._cell.goal == goals[1]
    with pytest.raises(DeviceError, match=r"instruction is 'wash up'; on the table now, expected"):
        plant.scatter(seed=3, level="normal", instruction="wash up")
    assert plant._cell.goal == goals[0]
