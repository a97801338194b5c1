"""A program that asks and waits notices when it has gone deaf."""

import time

import pytest

from carp_ros.errors import DeviceError
from carp_ros.ros.spinning_node import SpinningNode, taking_part

pytestmark = pytest.mark.realtime


def test_a_thread_that_died_is_named_by_whoever_waits():
    with taking_part(lambda: SpinningNode("asks")) as node:
        node.create_timer(0.01, lambda: 1 / 0)
        begin_s = time.monotonic()
        with pytest.raises(DeviceError, match=r"asks no longer receives: .*ZeroDivisionError"):
            node.wait_until(lambda: False, 10.0, "say anything")
        with pytest.raises(DeviceError, match="no longer receives"):
            node.trigger("anything")
        assert time.monotonic() - begin_s < 5.0


def test_a_node_that_is_stopped_says_nothing_of_it(capfd):
    with taking_part(lambda: SpinningNode("asks")):
        pass
    assert "no longer receives" not in capfd.readouterr().err
