"""What teleop_node says about its pointer."""

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="nodes need rclpy: pip install 'carp_ros[ros]'")

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402

from carp_ros.nodes.teleop_node import TeleopNode  # noqa: E402
from carp_ros.types import PointerState  # noqa: E402

from ..conftest import RIG  # noqa: E402


class Mouse:
    """A pointer that is there, and speaks once it is touched."""

    touched = False

    def open(self):
        pass

    def read(self, now_ns):
        return PointerState(np.zeros(6), (False, False), connected=True, heard=self.touched)

    def close(self):
        pass


@pytest.fixture
def node():
    rclpy.init(args=["--ros-args", "-p", f"rig:={RIG}"])
    node = TeleopNode(Mouse())
    published = []
    node._diagnostics.publish = published.extend
    node.published = published
    yield node
    node.destroy_node()
    rclpy.shutdown()


def test_a_pointer_that_never_spoke_is_not_called_connected_only(node):
    node._on_tick()
    node._on_second()
    assert node.published[-1].level == DiagnosticStatus.WARN
    assert "it has never reported anything: move it" in node.published[-1].message

    node._pointer.touched = True
    node._on_tick()
    node._on_second()
    assert node.published[-1].level == DiagnosticStatus.OK
    assert node.published[-1].message == "connected"
