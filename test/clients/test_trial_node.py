import pytest

from carp_ros.clients.trial_node import NotStartedError, TrialNode
from carp_ros.errors import DeviceError
from carp_ros.reports.control import ControlStatus, Fault, Reason, Source, StoppedError


class Refused:
    """An agent that may not begin; by then the arm may have moved."""

    def __init__(self, node, moved):
        self.node, self.moved = node, moved

    def begin(self, place_objects):
        self.node._moved |= self.moved
        text = "control/enable was refused: IMAGE_STALE: newest image of wrist_cam is 0.26 s old"
        raise StoppedError(text, Reason.IMAGE_STALE)


@pytest.fixture
def node():
    # no ROS: the arm is at home, and nothing is asked of the system
    node = object.__new__(TrialNode)
    node._loop, node._moved = {}, True
    node.status = ControlStatus(
        source=Source.HOME,
        enabled=False,
        reason=Reason.HOME_REACHED,
        reason_text="home reached",
        fault=Fault.NONE,
        fault_text="",
        moving=False,
    )
    node.trigger = lambda name: name
    return node


def test_what_stops_a_trial_before_the_arm_moves_says_so(node):
    node._agent = Refused(node, moved=False)
    with pytest.raises(
        NotStartedError, match=r"newest image of wrist_cam is 0\.26 s old"
    ) as caught:
        node.conduct(0, 1.0, lambda text: None)
    assert caught.value.reason is Reason.IMAGE_STALE  # what others decide by


def test_what_stops_a_moving_arm_is_no_bad_beginning(node):
    node._agent = Refused(node, moved=True)
    with pytest.raises(DeviceError) as caught:
        node.conduct(0, 1.0, lambda text: None)
    assert not isinstance(caught.value, NotStartedError)
