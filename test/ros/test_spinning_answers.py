"""What a service's refusal becomes, without ROS: an error, with the code that it names."""

from types import SimpleNamespace

import pytest

from carp_ros.errors import DeviceError
from carp_ros.reports.control import Fault, Reason, StoppedError
from carp_ros.ros.spinning_node import SpinningNode


def answering(success, message):
    node = object.__new__(SpinningNode)
    return node._accepted("control/enable", SimpleNamespace(success=success, message=message))


def test_a_refusal_that_names_its_reason_is_an_error_with_that_code():
    with pytest.raises(StoppedError, match="control/enable was refused: FAULT/TRACKING") as caught:
        answering(False, "FAULT/TRACKING: the tool is 0.06 m off")

    assert (caught.value.reason, caught.value.fault) == (Reason.FAULT, Fault.TRACKING)


def test_a_refusal_in_words_alone_is_an_error_without_a_code():
    with pytest.raises(DeviceError) as caught:
        answering(False, "no such level")

    assert not isinstance(caught.value, StoppedError)
    assert answering(True, "done") == "done"
