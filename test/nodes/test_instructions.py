"""Tests for nodes/instructions.py."""

import time

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from std_msgs.msg import String

from carp_ros.errors import PolicyError
from carp_ros.nodes.instructions import Instructions
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.qos import COMMAND


class Asked:
    """A node that is asked, what it took, and who asks."""

    def __init__(self):
        self.node = GuardedNode("asked")
        self.taken = []
        self.refuses = False
        self.instructions = Instructions(self.node, self._take)
        self.asking = rclpy.create_node("asking")
        self.publisher = self.asking.create_publisher(String, "instruction", COMMAND)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.until(lambda: self.publisher.get_subscription_count() == 1)

    def until(self, done, timeout_s=5.0):
        end_s = time.monotonic() + timeout_s
        while not done() and time.monotonic() < end_s:
            self.executor.spin_once(0.05)
        assert done()

    def _take(self, text):
        if self.refuses:
            raise PolicyError("takes none")
        self.taken.append(text)


@pytest.fixture
def asked():
    rclpy.init()
    asked = Asked()
    yield asked
    asked.node.destroy_node()
    asked.asking.destroy_node()
    rclpy.shutdown()


def test_what_is_published_is_taken_and_is_the_parameter_from_then_on(asked):
    asked.publisher.publish(String(data="put the red cup on the green field"))
    asked.until(lambda: asked.taken)
    assert asked.taken == [asked.instructions.text] == ["put the red cup on the green field"]


def test_what_the_parameter_is_set_to_is_taken(asked):
    (result,) = asked.node.set_parameters([Parameter("instruction", value="do it")])
    assert result.successful
    assert asked.taken == ["do it"]


@pytest.mark.parametrize("text", ["a\nb", "x" * 501, "\x00"])
def test_what_is_no_line_of_text_is_refused_and_the_rest_goes_on(asked, text):
    asked.publisher.publish(String(data=text))
    asked.publisher.publish(String(data=text))
    for _ in range(10):
        asked.executor.spin_once(0.05)
    assert asked.taken == []
    assert asked.instructions.text == ""
    asked.publisher.publish(String(data="put it there"))
    asked.until(lambda: asked.taken == ["put it there"])


def test_a_policy_that_takes_none_stops_nothing(asked):
    asked.refuses = True
    asked.publisher.publish(String(data="put it there"))
    asked.until(lambda: asked.instructions.text == "put it there")
    assert asked.taken == []
    asked.refuses = False
    asked.publisher.publish(String(data="and back"))
    asked.until(lambda: asked.taken == ["and back"])
