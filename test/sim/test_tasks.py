import numpy as np
import pytest

from carp_ros.geometry import quaternion_from_rotvec
from carp_ros.sim.cell import Cell
from carp_ros.sim.levels import LEVELS
from carp_ros.sim.tasks import TASKS, task_named

UPRIGHT = np.array([0.0, 0.0, 0.0, 1.0])


@pytest.fixture(params=TASKS)
def cell(request, rig) -> Cell:
    return Cell(rig, task_named(request.param), visuals=False)


def put(cell: Cell, name: str, position, quaternion=UPRIGHT) -> None:
    joint = cell.data.joint(f"{name}_free")
    joint.qpos = [*position, *quaternion[[3, 0, 1, 2]]]
    joint.qvel = 0.0


def settle(cell: Cell, seconds: float = 1.0) -> None:
    for _ in range(round(seconds * 500)):
        cell.advance()


def goal(cell: Cell) -> tuple[str, np.ndarray]:
    """Return the object that is asked for, and where it belongs."""
    asked = cell.goal
    if asked.is_inside:
        return asked.moved, cell.object_pose(asked.place).position + np.array([0.0, 0.02, 0.008])
    field = cell.task.fields[asked.place]
    return asked.moved, np.array([field.x, field.y, 0.001])


@pytest.mark.parametrize("level", LEVELS)
def test_no_episode_starts_solved_or_with_anything_falling(cell, level):
    for seed in range(30):
        cell.reset(seed, level)
        assert not cell.judge().success
        start = {name: cell.object_pose(name) for name in cell.task.objects}
        settle(cell, 0.2)
        assert not cell.judge().success
        for name, pose in start.items():
            moved = np.linalg.norm(cell.object_pose(name).position - pose.position)
            assert moved < 1e-3, f"{name} moved at seed {seed}"


def test_a_good_end_is_a_success(cell):
    for seed in range(5):
        cell.reset(seed, "normal")
        put(cell, *goal(cell))
        settle(cell)
        assert cell.judge().success, cell.judge().reasons


def test_an_object_held_above_its_place_is_not_there_yet(cell):
    cell.reset(0, "normal")
    name, place = goal(cell)
    put(cell, name, place + np.array([0.0, 0.0, 0.15]))
    cell.model.body_gravcomp[cell.model.body(name).id] = 1.0
    settle(cell, 0.2)
    assert any("above" in reason for reason in cell.judge().reasons)


def test_a_toppled_object_is_a_failure(cell):
    cell.reset(0, "normal")
    name, place = goal(cell)
    lying = quaternion_from_rotvec(np.array([np.pi / 2, 0.0, 0.0]))
    put(cell, name, place + np.array([0.0, 0.0, 0.06]), lying)
    settle(cell, 2.0)
    assert any("leans" in reason for reason in cell.judge().reasons)


def test_an_object_that_still_falls_is_a_failure(cell):
    cell.reset(0, "normal")
    name, place = goal(cell)
    put(cell, name, place + np.array([0.0, 0.0, 0.02]))
    settle(cell, 0.05)
    assert any("moves" in reason for reason in cell.judge().reasons)


def test_a_gripper_that_stays_at_the_object_is_a_failure(cell):
    cell.reset(0, "normal")
    name, _ = goal(cell)
    tool = cell.tcp_pose.position
    put(cell, name, tool - [0.0, 0.0, 0.05])
    settle(cell, 0.004)
    assert any("gripper is" in reason for reason in cell.judge().reasons)


def test_a_finger_at_the_rim_is_a_failure(rig):
    cell = Cell(rig, task_named("cup"), visuals=False)
    # Its underside is far below the tool, its wall within one of the open fingers.
    put(cell, "cup", cell.tcp_pose.position + np.array([0.0, 0.02, -0.085]))
    settle(cell, 0.002)
    reasons = cell.judge().reasons
    assert "cup touches the gripper" in reasons
    assert not any("gripper is" in reason for reason in reasons)


def test_a_pot_in_the_air_is_a_failure(rig):
    cell = Cell(rig, task_named("bowl"), visuals=False)
    put(cell, "pot", cell.object_pose("pot").position + np.array([0.0, 0.0, 0.1]))
    settle(cell, 0.02)
    assert "pot does not stand on the table" in cell.judge().reasons


def test_the_bowl_beside_the_pot_is_a_failure(rig):
    cell = Cell(rig, task_named("bowl"), visuals=False)
    put(cell, "bowl", cell.object_pose("pot").position + np.array([0.0, 0.2, 0.001]))
    settle(cell)
    assert any("middle of the pot" in reason for reason in cell.judge().reasons)


def test_places_spread_with_the_level(cell):
    spread = {}
    for level in LEVELS:
        places = []
        for seed in range(30):
            cell.reset(seed, level)
            places.append(cell.object_pose(cell.task.objects[0]).position[:2])
        spread[level] = np.std(places, axis=0).sum()
    assert spread["none"] < 1e-12
    assert 0.1 < spread["normal"] < spread["hard"]
