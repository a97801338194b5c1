"""Tests for nodes/spinning_node.py: a node whose listening ended says so to whoever waits."""

import pytest
from std_msgs.msg import String

from carp_ros.errors import DeviceError
from carp_ros.nodes.qos import LATCHED
from carp_ros.nodes.spinning_node import SpinningNode, taking_part

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


class Clumsy(SpinningNode):
    """A node with a bug."""

    def __init__(self) -> None:
        super().__init__("clumsy")
        self.create_subscription(String, "words", self._on_words, LATCHED)
        self.words = self.create_publisher(String, "words", LATCHED)

    def _on_words(self, msg: String) -> None:
        raise KeyError(msg.data)


def test_waiting_ends_at_once_with_what_ended_the_listening():
    with taking_part(Clumsy) as node:
        node.words.publish(String(data="stamp_ns"))
        with pytest.raises(DeviceError, match="hears nothing any more: KeyError: 'stamp_ns'"):
            node.wait_until(lambda: False, 5.0, "answer")
