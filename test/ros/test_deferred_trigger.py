"""Tests for ros/deferred_trigger.py: the answer comes with the outcome; nothing waits for it."""

import time

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from carp_ros.ros.deferred_trigger import DeferredTrigger
from carp_ros.ros.executor import CachedWaitSetExecutor

pytestmark = pytest.mark.realtime


@pytest.fixture(params=[CachedWaitSetExecutor, SingleThreadedExecutor])
def graph(request):
    """Two nodes, of which one offers a service that answers when told, and counts meanwhile."""
    import threading

    import rclpy

    rclpy.init()
    node, caller = Node("late"), Node("caller")
    executors = [request.param(), SingleThreadedExecutor()]
    for executor, each in zip(executors, (node, caller)):
        executor.add_node(each)
    node.ticks = 0
    node.refusal = ""

    def tick():
        node.ticks += 1

    node.create_timer(0.01, tick)
    node.service = DeferredTrigger(node, "late", lambda: node.refusal)
    node.create_service(Trigger, "other", lambda _, response: response)
    threads = [threading.Thread(target=executor.spin, daemon=True) for executor in executors]
    for thread in threads:
        thread.start()
    yield node, caller
    for executor in executors:
        executor.shutdown()
    for thread in threads:
        thread.join(2.0)
    rclpy.try_shutdown()


def ask(caller, name):
    client = caller.create_client(Trigger, name)
    assert client.wait_for_service(5.0)
    return client.call_async(Trigger.Request())


def wait_for(condition, timeout_s=3.0):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_an_answer_waits_for_its_outcome_while_the_node_goes_on(graph):
    node, caller = graph
    answers = [ask(caller, "late") for _ in range(2)]
    time.sleep(0.3)
    before = node.ticks
    other = ask(caller, "other")
    wait_for(other.done)
    time.sleep(0.2)
    assert node.ticks > before + 5
    assert not any(answer.done() for answer in answers)

    node.service.answer("", "no fault stands")
    wait_for(lambda: all(answer.done() for answer in answers))
    assert {(a.result().success, a.result().message) for a in answers} == {
        (True, "no fault stands")
    }


def test_a_failure_is_an_answer_too_and_a_refusal_comes_at_once(graph):
    node, caller = graph
    answer = ask(caller, "late")
    time.sleep(0.2)
    node.service.answer("the e-stop is pressed", "")
    wait_for(answer.done)
    assert (answer.result().success, answer.result().message) == (False, "the e-stop is pressed")

    node.refusal = "no servo yet"
    answer = ask(caller, "late")
    wait_for(answer.done)
    assert (answer.result().success, answer.result().message) == (False, "no servo yet")
