import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from carp_ros.control.mapping import TeleopMapping
from carp_ros.rig import TeleopConfig
from carp_ros.sim.cell import Cell
from carp_ros.sim.demonstrator import Demonstrator, deflections_for
from carp_ros.sim.lockstep import Operator, run_episode
from carp_ros.sim.tasks import task_named
from carp_ros.types import DEADMAN, PointerState

READ_NS = 10_000_000


class LateOperator(Operator):
    """An operator whose twists reach the arm some readings late, as over a network."""

    def __init__(self, rig, demonstrator, readings_late):
        super().__init__(rig, demonstrator)
        self._pending = []
        self._readings_late = readings_late

    def act(self, servo, now_ns):
        command = self._mapping.map(self._demonstrator.read(now_ns), now_ns)
        self._pending.append(command)
        if len(self._pending) > self._readings_late:
            command = self._pending.pop(0)
            servo.follow_twist(command.twist, command.gripper, now_ns)


class Onlooker(Demonstrator):
    """A demonstrator that notes down all that its hand did."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.readings = []

    def read(self, now_ns):
        self.readings.append(super().read(now_ns))
        return self.readings[-1]


@pytest.fixture(params=["cup", "bowl"])
def cell(request, rig) -> Cell:
    return Cell(rig, task_named(request.param), visuals=False)


def demonstrate(cell, rig, seed, level="normal", hand_seed=0):
    cell.reset(seed, level)
    demonstrator = Onlooker(lambda: cell, rig, hand_seed)
    return run_episode(cell, Operator(rig, demonstrator), 40.0), demonstrator.readings


@given(hnp.arrays(float, 6, elements=st.floats(-0.14, 0.14)))
def test_deflections_are_what_the_mapping_turns_into_the_wanted_velocity(wanted):
    teleop = TeleopConfig(axis_scale=(1.0, -1.0, 0.9, -1.0, -0.6, 1.0))
    state = PointerState(deflections_for(wanted, teleop), (True, False), connected=True)
    twist = TeleopMapping(teleop).map(state, 0).twist
    mapped = np.concatenate([twist.linear, twist.angular])
    np.testing.assert_allclose(mapped, wanted, atol=0.0061)  # below that the hand rests


def test_a_demonstration_succeeds_in_the_time_that_a_person_takes(cell, rig):
    for seed in range(2):
        outcome, _ = demonstrate(cell, rig, seed)
        assert outcome.verdict.success, f"seed {seed}: {outcome}"
        assert 8.0 < outcome.seconds < 16.0


def test_the_hand_moves_smoothly_and_holds_the_deadman_until_the_end(cell, rig):
    _, readings = demonstrate(cell, rig, 3)
    deflections = np.array([reading.deflections for reading in readings])
    assert np.abs(deflections).max() <= 1.0
    assert np.abs(np.diff(deflections, axis=0)[:-1]).max() < 0.25, "a jerk within 10 ms"
    deadman = [reading.buttons[DEADMAN] for reading in readings]
    assert all(deadman[:-1])
    assert not deadman[-1]


def test_every_hand_seed_demonstrates_a_little_differently(cell, rig):
    paths = []
    for hand_seed in (0, 0, 1):
        _, readings = demonstrate(cell, rig, 0, hand_seed=hand_seed)
        paths.append(np.array([reading.deflections for reading in readings]))
    np.testing.assert_array_equal(paths[0], paths[1])
    common = min(len(paths[0]), len(paths[2]))
    assert np.abs(paths[0][:common] - paths[2][:common]).max() > 0.1


def test_an_arm_that_answers_60_ms_late_is_still_led_well(cell, rig):
    cell.reset(1, "normal")
    operator = LateOperator(rig, Demonstrator(lambda: cell, rig), readings_late=6)
    outcome = run_episode(cell, operator, 40.0)
    assert outcome.verdict.success, outcome


def test_truth_may_come_as_snapshots_of_a_cell_that_another_process_steps(cell, rig):
    seen = Cell(rig, cell.task, visuals=False)

    def look():
        seen.restore(cell.snapshot(0))
        return seen

    cell.reset(2, "normal")
    outcome = run_episode(cell, Operator(rig, Demonstrator(look, rig)), 40.0)
    assert outcome.verdict.success, outcome


def test_a_scattered_cell_is_demonstrated_again_from_wherever_the_arm_is(cell, rig):
    cell.reset(0, "normal")
    operator = Operator(rig, Demonstrator(lambda: cell, rig))
    assert run_episode(cell, operator, 40.0).verdict.success
    assert operator.done
    cell.scatter(1, "normal")
    assert not operator.done
    from_home = []

    def watch(now_ns):
        from_home.append(np.abs(cell.joints - rig.home_joints_rad).max())

    outcome = run_episode(cell, operator, 40.0, watch)
    assert outcome.verdict.success, outcome
    assert from_home[0] > 0.2
    assert min(from_home) < 0.1, "every demonstration starts near home"


def test_a_grasp_that_slipped_is_tried_again(rig):
    cell = Cell(rig, task_named("cup"), visuals=False)
    cell.reset(0, "normal")
    moved = []

    def snatch(now_ns):
        """Move the cup away, once, when the fingers have closed on it."""
        if not moved and cell.gripper_closure > 0.25:
            joint = cell.data.joint("cup_free")
            joint.qpos[:3] = [0.45, 0.25, 0.001]
            joint.qvel = 0.0
            moved.append(now_ns)

    outcome = run_episode(cell, Operator(rig, Demonstrator(lambda: cell, rig)), 60.0, snatch)
    assert moved
    assert outcome.verdict.success, outcome
    assert outcome.seconds > 12.0
