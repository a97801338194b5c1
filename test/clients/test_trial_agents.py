import json
from types import SimpleNamespace

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from std_msgs.msg import Bool, String

from carp_ros.clients.trial_agents import OperatorAgent, PolicyNodeAgent
from carp_ros.errors import DeviceError
from carp_ros.reports.control import ChunkStart
from carp_ros.reports.json_report import report_to_json

STAGES = ("image_age", "preprocess", "vision", "decode", "total")


class FakeNode:
    """Keeps the order of what is asked of the system; time and answers are as told."""

    def __init__(self):
        self.calls, self.takers = [], {}
        self.now_ns = 1_000
        self.judgements = iter([])
        self.while_waiting = lambda: None

    def create_subscription(self, kind, topic, take, qos):
        self.takers[topic] = take

    def trigger(self, name):
        self.calls.append(name)

    def switch(self, name, on):
        self.calls.append(f"{name} {on}")

    def call(self, kind, name, request):
        return SimpleNamespace(success=next(self.judgements))

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=self.now_ns))

    def wait_until(self, condition, timeout_s, what):
        self.while_waiting()
        if not condition():
            raise DeviceError(f"did not {what}")

    def place_objects(self):
        self.calls.append("lay out")

    def hears_of_first_target(self, stamp_ns, begun_ns):
        followed = report_to_json(ChunkStart(stamp_ns, begun_ns, 0))
        self.takers["control/followed"](String(data=followed))

    def hears_of_chunk(self, stamp_ns, total=0.1, reduced=False):
        content = {
            "schema": 3,
            "stamp_ns": stamp_ns,
            "seconds": dict.fromkeys(STAGES, total),
            "transport_s": 0.6 * total,
            "figures": {},
            "reduced": reduced,
            "notes": [],
            "encoded_ahead": 2,
        }
        self.takers["policy/inference"](String(data=json.dumps(content)))


@pytest.fixture
def node():
    return FakeNode()


@pytest.fixture
def policy(node):
    return PolicyNodeAgent(node)


def begun(node, policy):
    node.while_waiting = lambda: node.hears_of_chunk(2_000)
    policy.begin(node.place_objects)
    return policy._judged_s


def test_a_hand_is_enabled_before_there_is_something_to_do(node):
    OperatorAgent(node).begin(node.place_objects)
    assert node.calls == ["control/select_teleop", "control/enable True", "lay out"]


def test_a_hand_that_let_go_for_a_second_is_done(node):
    operator = OperatorAgent(node)
    operator.begin(node.place_objects)
    press = node.takers["teleop/deadman"]
    assert not operator.is_over(100.0)
    press(Bool(data=True))
    assert not operator.is_over(101.0)
    press(Bool(data=False))
    assert not operator.is_over(101.9)
    assert operator.is_over(102.1)
    assert operator.acted_until_s == 101.0


def test_a_policy_is_enabled_only_once_it_has_seen_what_was_laid_out(node, policy):
    begun(node, policy)
    assert node.calls == ["control/select_policy", "lay out", "control/enable True"]


def test_a_policy_that_has_seen_only_what_was_there_before_is_not_enabled(node, policy):
    node.while_waiting = lambda: node.hears_of_chunk(900)
    with pytest.raises(DeviceError, match="plan for what was laid out"):
        policy.begin(node.place_objects)
    assert "control/enable True" not in node.calls


def test_a_second_of_success_on_end_is_the_end_and_where_it_began_is_the_time(node, policy):
    start_s = begun(node, policy)
    node.judgements = iter([True, False, True, True, True, True])
    over = [policy.is_over(start_s + 0.25 * step) for step in range(1, 7)]
    assert over == [False] * 5 + [True]
    assert policy.acted_until_s == pytest.approx(start_s + 0.5)


def test_the_task_is_judged_four_times_a_second(node, policy):
    start_s = begun(node, policy)
    node.judgements = iter([False])
    assert [policy.is_over(start_s + s) for s in (0.1, 0.2, 0.26, 0.4)] == [False] * 4


def test_the_figures_are_those_of_this_trial(node, policy):
    node.hears_of_chunk(900, total=9.0)
    begun(node, policy)
    for reduced, each_s in ((False, 0.008), (True, 0.012)):
        node.hears_of_chunk(3_000, each_s, reduced)
    figures = policy.figures()
    assert (figures.chunks, figures.reduced) == (2, 1)
    assert figures.latency_ms["vision"]["p50"] == pytest.approx(10.0)
    assert "total" not in figures.latency_ms


def test_a_chunks_stages_are_those_from_the_image_to_the_first_target(node, policy):
    begun(node, policy)
    node.hears_of_chunk(3_000, 0.008)
    node.hears_of_first_target(3_000, 3_000 + 45_000_000)
    node.hears_of_chunk(9_000, 0.008)  # never followed
    latency_ms = policy.figures().latency_ms
    assert latency_ms["total"] == {"p50": 45.0, "p99": 45.0}
    assert latency_ms["schedule"]["p50"] == pytest.approx(45.0 - 4 * 8.0)
    assert list(latency_ms) == ["transport", "wait", *STAGES[:-1], "schedule", "total"]


def test_a_policy_says_why_it_does_nothing(node, policy):
    status = DiagnosticStatus(name="policy: chunks", message="no chunk: no tool pose yet")
    node.takers["diagnostics"](DiagnosticArray(status=[status]))
    assert policy.explanation() == "no chunk: no tool pose yet"
