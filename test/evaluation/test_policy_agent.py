import time

import numpy as np
import pytest

import carp_ros.sim  # noqa: F401  chooses the OpenGL before mujoco is imported
from carp_ros.errors import PolicyError
from carp_ros.evaluation.policy_agent import PolicyAgent, PolicyTiming, observe
from carp_ros.geometry import rotation_between
from carp_ros.inference.layout import TOOL
from carp_ros.inference.policy_spec import ObservationSpec, PolicySpec
from carp_ros.policies.inference_scheduler import NoChunk
from carp_ros.policies.load import load_policy
from carp_ros.policies.policy import Prediction
from carp_ros.rig import load_rig
from carp_ros.share import share_folder
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cell import Cell
from carp_ros.sim.lockstep import run_episode
from carp_ros.sim.tasks import task_named
from carp_ros.types import Chunk, Observation

from ..tiny_bundle import DRIFT_M, STEP_S

MS = 1_000_000


@pytest.fixture(scope="module")
def cell():
    rig = load_rig(share_folder() / "config" / "ur5e_sim.yaml")
    return Cell(rig, task_named("cup"), visuals=True)


@pytest.fixture(scope="module")
def cameras(cell):
    cameras = Cameras(cell)
    yield cameras
    cameras.close()


SHOWN = ObservationSpec()
LAYOUT = TOOL.spanning((-1.0,) * 10, (1.0,) * 10)


class Planner:
    """A policy that moves the tool by so much over its 1.6 s, or fails."""

    def __init__(self, by=(0.0, 0.0, 0.0), fails=False, shown=SHOWN):
        self.histories = []
        self.by, self.fails = np.array(by), fails
        self.seen = []
        self.told = []
        self.spec = PolicySpec("b", "k", ("cup",), {}, shown, LAYOUT, LAYOUT, 0.1, 16, 8)

    def followed(self, stamp_ns, late_ns):
        self.told.append((stamp_ns // MS, late_ns // MS))

    def infer(self, observations, deadline_ns=None):
        self.histories.append(observations)
        observation = observations[-1]
        self.seen.append(observation)
        if self.fails:
            raise PolicyError("no idea")
        fractions = np.arange(16) / 15
        chunk = Chunk(
            observation.stamp_ns,
            observation.stamp_ns + np.arange(16) * 100 * MS,
            observation.tcp_pose.position + fractions[:, None] * self.by,
            np.tile(observation.tcp_pose.quaternion, (16, 1)),
            np.full(16, 0.6),
        )
        return Prediction(observation.stamp_ns, np.zeros((16, 10)), chunk, {})


def blind(cell):
    """Return what an agent sees that needs no image."""
    return lambda: Observation(
        cell.time_ns, {}, {}, cell.tcp_pose, cell.gripper_closure, cell.joints
    )


def run(cell, policy, seconds, pace=None, succeeded=lambda: False):
    cell.reset(0, "none")
    agent = PolicyAgent(policy, cell.rig.limits, blind(cell), succeeded, pace or PolicyTiming(0.8))
    return agent, run_episode(cell, agent, seconds)


def test_the_arm_moves_as_the_chunks_say(cell):
    before = cell.tcp_pose
    agent, _ = run(cell, Planner(by=(0.0, 0.12, -0.06)), 1.0)
    moved = cell.tcp_pose.position - before.position
    # each chunk begins where the tool was seen, a lag behind where it is: no more can be told
    assert moved[1] == pytest.approx(0.07, abs=0.03)
    assert moved[2] == pytest.approx(-0.5 * moved[1], abs=0.005)
    assert np.linalg.norm(rotation_between(cell.tcp_pose.quaternion, before.quaternion)) < 0.02
    assert cell.gripper_closure == pytest.approx(0.6, abs=0.1)
    assert agent.refusals == []


def test_a_chunk_arrives_a_latency_after_its_observation_and_plans_follow_their_pace(cell):
    agent, _ = run(cell, Planner(), 1.0, PolicyTiming(replan_s=0.2, latency_s=0.13))
    stamps_ns = [prediction.chunk.stamp_ns for prediction in agent.predictions]
    assert stamps_ns == [n * 200 * MS for n in range(5)]
    assert agent.arrivals_ns == [stamp_ns + 130 * MS for stamp_ns in stamps_ns]


def test_a_plan_waits_for_the_one_before(cell):
    agent, _ = run(cell, Planner(), 1.0, PolicyTiming(replan_s=0.1, latency_s=0.25))
    stamps_ns = [prediction.chunk.stamp_ns for prediction in agent.predictions]
    assert stamps_ns == [n * 250 * MS for n in range(4)]


def test_a_history_is_observed_a_step_apart_and_begins_with_the_episode(cell):
    shown = ObservationSpec(history=3, history_step_s=0.1)
    planner = Planner(shown=shown)
    run(cell, planner, 1.0, PolicyTiming(replan_s=0.4, latency_s=0.05))
    stamps_ms = [[seen.stamp_ns // MS for seen in history] for history in planner.histories]
    assert stamps_ms == [[0, 0, 0], [200, 300, 400], [600, 700, 800]]


def test_a_policy_is_told_what_the_arm_follows_and_that_the_first_plan_began_late(cell):
    planner = Planner((0.0, 0.0, 0.1))
    run(cell, planner, 1.5, PolicyTiming(replan_s=0.5, latency_s=0.2))
    assert planner.told == [(0, 200), (500, 0)]


def test_a_policy_is_not_told_of_a_plan_that_was_refused(cell):
    planner = Planner((0.0, 0.0, 9.0))
    run(cell, planner, 1.5, PolicyTiming(replan_s=0.5, latency_s=0.2))
    assert len(planner.histories) > 1
    assert planner.told == []


def test_without_latency_a_chunk_is_there_at_once(cell):
    agent, _ = run(cell, Planner(), 0.5, PolicyTiming(replan_s=0.25, latency_s=0.0))
    assert agent.arrivals_ns == [0, 250 * MS]


def test_a_second_of_success_on_end_ends_it(cell):
    successes = iter([True] * 5 + [False] + [True] * 20)
    _, outcome = run(cell, Planner(), 5.0, succeeded=lambda: next(successes))
    # judged every 0.1 s from 0.1 s on; the failure is at 0.6 s
    assert outcome.seconds == pytest.approx(1.6, abs=0.02)
    assert not outcome.timed_out


def test_the_timeout_ends_what_never_succeeds(cell):
    agent, outcome = run(cell, Planner(), 0.5)
    assert outcome.timed_out
    assert agent.given_up == ""


def test_a_policy_without_a_plan_five_times_in_a_row_is_given_up(cell):
    agent, outcome = run(cell, Planner(fails=True), 5.0)
    assert [refusal.text for refusal in agent.refusals] == ["no idea"] * 5
    assert agent.given_up == "5 chunks refused in a row: no idea"
    assert outcome.seconds == pytest.approx(0.8, abs=0.02)
    assert agent.predictions == []


def test_chunks_that_the_servo_refuses_are_counted_with_its_reason(cell):
    agent, _ = run(cell, Planner(by=(9.0, 0.0, 0.0)), 5.0)
    assert len(agent.refusals) == 5
    assert "outside the workspace" in agent.refusals[0].text
    assert agent.refusals[0].code is NoChunk.REFUSED
    assert agent.arrivals_ns == []


def test_what_is_seen_is_the_truth_of_that_moment(cell, cameras):
    cell.reset(3, "normal")
    observation = observe(cell, cameras, ("third_cam",))
    assert observation.stamp_ns == observation.image_stamps_ns["third_cam"] == cell.time_ns
    assert list(observation.images) == ["third_cam"]
    assert (observation.images["third_cam"] == cameras.render("third_cam")).all()
    assert (observation.tcp_pose.position == cell.tcp_pose.position).all()
    before = observation.joints.copy()
    cell.drive(cell.joints + 0.1, 0.0)
    for _ in range(50):
        cell.advance()
    assert (observation.joints == before).all()


def test_a_bundle_moves_the_arm_as_its_graphs_say(cell, cameras, tiny_bundle):
    policy = load_policy(tiny_bundle, "cup", time.perf_counter_ns)
    cell.reset(0, "none")
    before = cell.tcp_pose.position
    agent = PolicyAgent(
        policy,
        cell.rig.limits,
        lambda: observe(cell, cameras, tuple(policy.spec.cameras)),
        lambda: False,
        PolicyTiming(0.2, 0.02),
    )
    run_episode(cell, agent, 1.0)
    moved = cell.tcp_pose.position - before
    speed_m_s = DRIFT_M / STEP_S
    assert 0.4 * speed_m_s < moved[0] < 1.2 * speed_m_s
    assert abs(moved[1:]).max() < 0.005
    assert agent.refusals == []
