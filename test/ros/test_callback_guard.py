"""What goes wrong about one message or request is refused, counted by source, and said."""

import asyncio

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from hypothesis import given
from hypothesis import strategies as st
from rcl_interfaces.msg import Parameter
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from std_srvs.srv import Trigger

from carp_ros.errors import MessageError
from carp_ros.ros.callback_guard import CallbackGuard

S = 1_000_000_000


class Clerk:
    """A guard with its clock and what it logged."""

    def __init__(self) -> None:
        self.now_ns, self.said, self.alive = 0, [], True
        self.guard = CallbackGuard(self.said.append, lambda: self.alive, lambda: self.now_ns)


@given(
    st.sampled_from(
        [
            KeyError("stamp"),
            ValueError("zero-size array"),
            OverflowError("int too large"),
            RecursionError(),
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
            MessageError("pose is in frame 'map'; expected 'base_link'"),
        ]
    )
)
def test_whatever_is_raised_about_a_message_costs_that_message(error):
    clerk, taken = Clerk(), []

    def take(msg: object) -> None:
        if msg == "bad":
            raise error
        taken.append(msg)

    call = clerk.guard.guard_subscription("topic tool_pose", take)
    for msg in ("a", "bad", "b"):
        call(msg)
    assert taken == ["a", "b"]
    assert clerk.guard.counts == {"topic tool_pose": 1}
    (line,) = clerk.said
    assert line.startswith("refused topic tool_pose: ")
    assert "\n" not in line


def test_what_nobody_foresaw_is_told_with_its_place_and_the_foreseen_is_not():
    clerk = Clerk()
    clerk.guard.guard_subscription("topic a", lambda msg: {}["stamp"])(0)

    def refuse(msg: object) -> None:
        raise MessageError("stamp is old")

    clerk.guard.guard_subscription("topic b", refuse)(0)
    assert "KeyError: 'stamp' (test_callback_guard.py:" in clerk.said[0]
    assert "topic b: stamp is old (1 so far)" in clerk.said[1]


def test_a_source_is_logged_once_a_second_and_always_counted():
    clerk = Clerk()
    for _ in range(100):
        clerk.guard.refuse("topic a", "bad")
        clerk.guard.refuse("topic b", "bad")
        clerk.now_ns += S // 50
    assert len(clerk.said) == 4
    assert clerk.guard.counts == {"topic a": 100, "topic b": 100}


def test_made_up_sources_fill_no_memory():
    clerk = Clerk()
    for number in range(1000):
        clerk.guard.refuse(f"parameter {number}", "unknown")
    assert len(clerk.guard.counts) <= 51
    assert clerk.guard.counts.total() == 1000


def test_diagnostics_warn_for_a_while_and_keep_the_counts():
    clerk = Clerk()
    assert clerk.guard.status("policy_node") is None
    clerk.guard.refuse("topic joint_states", "joint state lacks ['elbow']")
    said = clerk.guard.status("policy_node")
    assert said is not None
    assert (said.name, said.level) == ("policy_node: refused", DiagnosticStatus.WARN)
    assert "topic joint_states: joint state lacks" in said.message
    assert {pair.key: pair.value for pair in said.values}["topic joint_states"] == "1"
    clerk.now_ns += 11 * S
    said = clerk.guard.status("policy_node")
    assert said is not None
    assert said.level == DiagnosticStatus.OK
    assert {pair.key: pair.value for pair in said.values}["topic joint_states"] == "1"


def test_a_request_is_answered_with_the_reason():
    clerk = Clerk()
    answer = clerk.guard.guard_service("service cell/scatter", lambda request, response: 1 / 0)
    response = answer(Trigger.Request(), Trigger.Response(success=True))
    assert not response.success
    assert "ZeroDivisionError" in response.message


def test_each_parameter_of_a_request_is_refused():
    clerk = Clerk()
    answer = clerk.guard.guard_service("service set_parameters", lambda request, response: 1 / 0)
    request = SetParameters.Request(parameters=[Parameter(name="a"), Parameter(name="b")])
    response = answer(request, SetParameters.Response())
    assert [result.successful for result in response.results] == [False, False]
    assert all("ZeroDivisionError" in result.reason for result in response.results)
    response = answer(request, SetParametersAtomically.Response())
    assert not response.result.successful


def test_a_service_that_waited_is_answered_with_the_reason_too():
    clerk = Clerk()

    async def fail(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        await asyncio.sleep(0)
        raise KeyError("uid")

    answer = clerk.guard.guard_service("service recorder/start", fail)
    response = asyncio.run(answer(Trigger.Request(), Trigger.Response()))
    assert (response.success, "KeyError: 'uid'" in response.message) == (False, True)


def test_what_is_raised_once_ros_is_gone_is_not_about_the_message():
    clerk = Clerk()
    clerk.alive = False
    with pytest.raises(ZeroDivisionError):
        clerk.guard.guard_subscription("topic a", lambda msg: 1 / 0)(0)
