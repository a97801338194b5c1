import pytest

from carp_ros.sim.cell import STEP_NS, Cell
from carp_ros.sim.lockstep import run_episode
from carp_ros.sim.tasks import task_named


class Idler:
    """An agent that does nothing, for so many actions."""

    period_ns = 100_000_000

    def __init__(self, actions):
        self.times = []
        self._actions = actions

    @property
    def done(self):
        return len(self.times) >= self._actions

    def act(self, servo, now_ns):
        self.times.append(now_ns)


@pytest.fixture
def cell(rig):
    return Cell(rig, task_named("cup"), visuals=False)


def test_an_agent_acts_at_its_own_period_and_is_watched_before_it_does(cell):
    agent, watched = Idler(5), []
    outcome = run_episode(cell, agent, 10.0, watched.append)
    assert agent.times == [tick * agent.period_ns for tick in range(5)]
    assert watched[:-1] == agent.times
    assert watched[-1] == cell.time_ns
    assert not outcome.timed_out
    assert not outcome.verdict.success


def test_an_agent_that_never_ends_is_stopped(cell):
    outcome = run_episode(cell, Idler(1000), 0.5)
    assert outcome.timed_out
    assert outcome.seconds == pytest.approx(0.5, abs=STEP_NS * 1e-9)


def test_nothing_moves_while_nobody_asks(cell, rig):
    run_episode(cell, Idler(3), 1.0)
    assert abs(cell.joints - rig.home_joints_rad).max() < 1e-4
