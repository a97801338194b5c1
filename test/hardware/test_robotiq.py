"""The gripper's driver against the emulated URCap, and against ports that misbehave."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from carp_ros.errors import DeviceError
from carp_ros.hardware.robotiq import RobotiqGripper
from carp_ros.rig_devices import RobotiqConfig


class ScriptedPort:
    """A gripper port that takes connections one by one and gives fixed answers, in pieces."""

    def __init__(self, *connections: list[bytes]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, args=(connections,), daemon=True).start()

    def _serve(self, connections: tuple[list[bytes], ...]) -> None:
        for answers in connections:
            peer, _ = self._listener.accept()
            with peer:
                for answer in answers:
                    peer.recv(1024)
                    for start in range(0, len(answer), 2):
                        with suppress(ConnectionError):  # who asked has heard enough
                            peer.sendall(answer[start : start + 2])
                        time.sleep(0.001)
        self._listener.close()


@pytest.fixture
def gripper(ur_controller) -> Iterator[RobotiqGripper]:
    connected = RobotiqGripper(RobotiqConfig(host=ur_controller.host))
    connected.connect()
    yield connected
    connected.close()


def wait_until(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def scripted(*connections: list[bytes]) -> RobotiqGripper:
    port = ScriptedPort(*connections).port
    return RobotiqGripper(RobotiqConfig(host="127.0.0.1", port=port))


@pytest.mark.parametrize("closure", [1.0, 0.4, 0.0])
def test_the_fingers_go_where_they_are_told_and_hold_nothing(gripper, closure):
    gripper.move(closure)
    wait_until(lambda: abs(gripper.read().closure - closure) < 0.01)
    time.sleep(0.15)
    assert not gripper.read().holding


def test_fingers_that_meet_an_object_hold_it_until_they_open(ur_controller, gripper):
    gripper.move(0.0)
    wait_until(lambda: gripper.read().closure < 0.01)
    ur_controller.faults.block_gripper(0.5)
    gripper.move(1.0)
    assert not gripper.read().holding  # the answer to the last request is stale
    wait_until(lambda: gripper.read().holding)
    assert gripper.read().closure == pytest.approx(0.5, abs=0.01)
    gripper.move(0.0)
    assert not gripper.read().holding
    wait_until(lambda: gripper.read().closure < 0.01)


def test_an_active_gripper_is_not_activated_again(ur_controller, gripper):
    gripper.move(0.6)
    wait_until(lambda: gripper.read().closure > 0.59)
    RobotiqGripper(RobotiqConfig(host=ur_controller.host)).connect()
    time.sleep(0.1)
    assert gripper.read().closure > 0.59


def test_a_gripper_without_power_says_so_and_is_activated_once_it_is_back(ur_controller, gripper):
    ur_controller.faults.emergency_stop()
    wait_until(lambda: ur_controller.faults.state()["robot_mode"] == "POWER_OFF")
    with pytest.raises(DeviceError, match="the arm may have no power"):
        gripper.read()
    with pytest.raises(DeviceError, match="expected b'ack'"):
        gripper.move(0.5)
    ur_controller.faults.restore()
    time.sleep(0.02)
    gripper.connect()
    gripper.move(0.3)
    wait_until(lambda: abs(gripper.read().closure - 0.3) < 0.01)


def test_nothing_listening_is_named_with_its_address():
    with pytest.raises(DeviceError, match=r"127\.250\.250\.250:63352 does not answer"):
        RobotiqGripper(RobotiqConfig(host="127.250.250.250")).connect()


def test_a_lost_link_is_reported_once_and_opened_again_by_the_next_call():
    state = b"FLT 0\nPRE 3\nOBJ 3\nPOS 3\n"
    gripper = scripted([b"ack"], [state])
    gripper.move(0.0)
    with pytest.raises(DeviceError, match="does not answer"):
        gripper.read()
    assert gripper.read().closure == 0.0


def test_a_fault_of_the_gripper_is_an_error():
    gripper = scripted([b"FLT 14\nPRE 3\nOBJ 3\nPOS 3\n"])
    with pytest.raises(DeviceError, match="gripper fault 14"):
        gripper.read()


def test_calibrated_counts_map_to_open_and_closed():
    port = ScriptedPort([b"FLT 0\nPRE 0\nOBJ 2\nPOS 10\n", b"FLT 0\nPRE 0\nOBJ 2\nPOS 210\n"]).port
    gripper = RobotiqGripper(
        RobotiqConfig(host="127.0.0.1", port=port), open_counts=10, closed_counts=210
    )
    assert gripper.read().closure == 0.0
    closed = gripper.read()
    assert (closed.closure, closed.holding) == (1.0, True)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"STA " + b"9" * 5000 + b"\n", "expected a gripper's short answer"),
        (b"STA 99999\n", "expected a number"),
        ("STA \u0663\n".encode(), "expected a number"),
        (b"\xff\xfe\n", "expected a number"),
    ],
)
def test_what_is_no_gripper_is_refused_in_a_line(answer, words):
    with pytest.raises(DeviceError, match=words) as refusal:
        scripted([answer]).connect()
    assert len(str(refusal.value)) < 400
