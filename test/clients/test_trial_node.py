import pytest

from carp_ros.clients.trial_node import TrialNode, UnmovedError
from carp_ros.errors import DeviceError


class Refused:
    """An agent that may not begin; by then the arm may have moved."""

    def __init__(self, node, moved):
        self.node, self.moved = node, moved

    def begin(self, lay_out):
        self.node._moved |= self.moved
        raise DeviceError("control/enable was refused: newest image of wrist_cam is 0.26 s old")


@pytest.fixture
def node():
    # no ROS: the arm is at home, and nothing is asked of the system
    node = object.__new__(TrialNode)
    node._loop, node.status, node._moved = {}, {"reason": "home reached"}, True
    node.trigger = lambda name: name
    return node


def test_what_stops_a_trial_before_the_arm_moves_says_so(node):
    node._agent = Refused(node, moved=False)
    with pytest.raises(UnmovedError, match=r"refused: newest image of wrist_cam is 0\.26 s old"):
        node.conduct(0, 1.0, lambda text: None)


def test_what_stops_a_moving_arm_is_no_bad_beginning(node):
    node._agent = Refused(node, moved=True)
    with pytest.raises(DeviceError) as caught:
        node.conduct(0, 1.0, lambda text: None)
    assert not isinstance(caught.value, UnmovedError)
