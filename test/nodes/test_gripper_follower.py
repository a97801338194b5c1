"""Tests for nodes/gripper_follower.py: a gripper that can be unplugged, and what it is told."""

import threading
import time

import pytest

from carp_ros.errors import DeviceError
from carp_ros.nodes.gripper_follower import GripperFollower
from carp_ros.types import GripperState


class FakeGripper:
    """Fingers that are at once where they are sent; `unplugged` makes every call fail."""

    def __init__(self):
        self.unplugged = False
        self.bug = None
        self.closure = 0.6
        self.calls = []
        self.read_once = threading.Event()

    def connect(self):
        self._answer("connect")

    def move(self, closure):
        self._answer(f"move {closure}")
        self.closure = closure

    def read(self):
        self._answer(None)
        self.read_once.set()
        return GripperState(self.closure, holding=False)

    def close(self):
        self.calls.append("close")

    @property
    def moves(self):
        return [call for call in self.calls if call.startswith("move")]

    def _answer(self, call):
        if self.unplugged:
            raise DeviceError("the gripper does not answer")
        if self.bug is not None:
            raise self.bug
        if call is not None:
            self.calls.append(call)


def wait_until(condition):
    deadline_s = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < deadline_s, "waited for 5 s"
        time.sleep(0.005)


@pytest.fixture
def gripper():
    return FakeGripper()


@pytest.fixture
def follower(gripper):
    follower = GripperFollower(gripper, retry_s=0.05)
    yield follower
    follower.stop()


def read_again(gripper):
    """Wait for two rounds, so that whatever was wanted before has been sent."""
    for _ in range(2):
        gripper.read_once.clear()
        assert gripper.read_once.wait(5.0)


def test_before_it_is_connected_that_is_the_problem(follower):
    assert follower.problem == "not connected yet"
    assert follower.state is None


def test_it_connects_and_reads_without_moving(follower, gripper):
    follower.start()
    wait_until(lambda: follower.state is not None)

    assert follower.state == GripperState(0.6, holding=False)
    wait_until(lambda: follower.problem == "")
    assert gripper.calls == ["connect"]


def test_the_fingers_stand_until_the_wanted_closure_changes(follower, gripper):
    follower.start()
    follower.want(0.0)
    read_again(gripper)
    follower.want(0.0)
    follower.want(0.003)  # less than the gripper can tell apart
    read_again(gripper)
    assert gripper.moves == []

    follower.want(1.0)
    wait_until(lambda: gripper.moves)
    follower.want(1.0)
    read_again(gripper)
    assert gripper.moves == ["move 1.0"]
    assert follower.state.closure == 1.0


def test_a_small_change_adds_up_until_it_is_sent(follower, gripper):
    follower.start()
    follower.want(0.5)
    for closure in (0.502, 0.5035, 0.506):
        follower.want(closure)
        read_again(gripper)

    assert gripper.moves == ["move 0.506"]


def test_it_reconnects_and_sends_what_was_wanted_meanwhile(follower, gripper):
    follower.start()
    follower.want(0.0)
    read_again(gripper)
    gripper.unplugged = True
    wait_until(lambda: follower.problem)
    assert follower.problem == "the gripper does not answer"
    assert follower.state is None
    follower.want(0.8)

    gripper.unplugged = False

    wait_until(lambda: gripper.moves)
    assert gripper.calls == ["connect", "connect", "move 0.8"]
    wait_until(lambda: follower.problem == "")
    assert follower.state == GripperState(0.8, holding=False)


def test_an_unplugged_gripper_keeps_its_fingers_when_nothing_new_was_wanted(follower, gripper):
    gripper.unplugged = True
    follower.start()
    follower.want(0.0)
    wait_until(lambda: follower.problem == "the gripper does not answer")
    gripper.unplugged = False
    read_again(gripper)

    assert gripper.calls == ["connect"]


def test_stopping_closes_the_link_and_leaves_the_fingers(follower, gripper):
    follower.start()
    follower.want(0.0)
    read_again(gripper)
    follower.stop()

    assert gripper.calls == ["connect", "close"]


@pytest.mark.parametrize("bug", [KeyError("POS"), ValueError("no number"), RuntimeError()])
def test_a_bug_of_the_driver_is_shown_and_does_not_end_the_thread(gripper, follower, bug):
    follower.start()
    wait_until(lambda: follower.state is not None)
    gripper.bug = bug
    wait_until(lambda: "this is a bug" in follower.problem)
    assert type(bug).__name__ in follower.problem or str(bug) in follower.problem
    assert follower.state is None

    gripper.bug = None
    wait_until(lambda: follower.state is not None and not follower.problem)
