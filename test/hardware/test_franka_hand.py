"""The real franky-control against the emulated Franka Hand, which is another process."""

import time
from collections.abc import Iterator

import pytest

from carp_ros.errors import DeviceError
from carp_ros.hardware.franka_hand import FrankaHand
from carp_ros.rig_devices import FrankaHandConfig

pytestmark = pytest.mark.realtime

PATIENCE_S = 60.0


@pytest.fixture
def hand(fr3_controller) -> Iterator[FrankaHand]:
    hand = FrankaHand(FrankaHandConfig(host=fr3_controller.host, speed_m_s=0.2))
    hand.connect()
    yield hand
    hand.move(0.0)
    settle(hand, 0.0)
    hand.close()


def settle(hand: FrankaHand, closure: float) -> None:
    """Wait until the fingers are at a closure."""
    deadline_s = time.monotonic() + PATIENCE_S
    while abs(hand.read().closure - closure) > 0.02:
        assert time.monotonic() < deadline_s, f"at {hand.read().closure}, not {closure}"
        time.sleep(0.02)


def test_the_width_of_the_device_is_a_closure_here(fr3_controller, hand):
    for closure in (1.0, 0.25, 0.0):
        hand.move(closure)
        settle(hand, closure)
        width_m = fr3_controller.faults.state()["width_m"]
        assert width_m == pytest.approx(0.08 * (1.0 - closure), abs=0.002)
        assert not hand.read().holding


def test_fingers_that_meet_an_object_hold_it_and_let_it_go(fr3_controller, hand):
    fr3_controller.faults.block_gripper(0.4)
    hand.move(1.0)
    deadline_s = time.monotonic() + PATIENCE_S
    while not hand.read().holding:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    assert hand.read().closure == pytest.approx(0.4, abs=0.02)
    hand.move(0.0)
    settle(hand, 0.0)
    assert not hand.read().holding


def test_a_new_request_replaces_the_one_under_way(hand):
    for closure in (1.0, 0.0, 1.0, 0.5):
        hand.move(closure)
    settle(hand, 0.5)


def test_a_dropped_link_is_said_and_the_next_connection_works(fr3_controller, hand):
    fr3_controller.faults.drop_link()

    def read_on() -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            hand.read()

    with pytest.raises(DeviceError, match=f"the hand at {fr3_controller.host}"):
        read_on()
    hand.connect()
    hand.move(0.3)
    settle(hand, 0.3)


def test_nothing_listening_is_named_with_its_address_and_what_to_do():
    hand = FrankaHand(FrankaHandConfig(host="127.250.250.250"))
    with pytest.raises(DeviceError, match=r"127\.250\.250\.250: port 1338 is closed.*Desk"):
        hand.connect()


def test_without_a_link_nothing_is_asked():
    hand = FrankaHand(FrankaHandConfig())
    with pytest.raises(DeviceError, match="connect first"):
        hand.move(1.0)
    with pytest.raises(DeviceError, match="connect first"):
        hand.read()
