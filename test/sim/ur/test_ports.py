"""The line-based ports, without sockets: dashboard, script upload, gripper, fault injection."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.robots import UR5E
from carp_ros.sim.fault_port import LinkFaults
from carp_ros.sim.plant import CYCLE_S, KinematicPlant
from carp_ros.sim.tick_statistics import TickStatistics
from carp_ros.sim.ur import robotiq
from carp_ros.sim.ur.controller import Controller
from carp_ros.sim.ur.dashboard import DashboardConnection
from carp_ros.sim.ur.fault_port import FaultConnection
from carp_ros.sim.ur.robotiq import RobotiqConnection, RobotiqFingers
from carp_ros.sim.ur.script import ScriptConnection

cuts = st.lists(st.integers(0, 500), max_size=8)


def split(data: bytes, places: list[int]) -> list[bytes]:
    ordered = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(ordered)]


@pytest.fixture
def controller() -> Controller:
    return Controller(UR5E, KinematicPlant(np.zeros(6)), unlock_delay_s=5.0)


def ask(controller: Controller, line: str) -> str:
    return DashboardConnection(controller).receive(f"{line}\n".encode()).decode().rstrip("\n")


def test_the_dashboard_tells_version_and_modes(controller):
    assert ask(controller, "PolyscopeVersion") == "URSoftware 5.12.0.1101319"
    assert ask(controller, "get serial number").isdecimal()
    assert ask(controller, "robotmode") == "Robotmode: RUNNING"
    assert ask(controller, "safetystatus") == "Safetystatus: NORMAL"
    controller.protective_stop()
    assert ask(controller, "safetystatus") == "Safetystatus: PROTECTIVE_STOP"
    assert ask(controller, "sing") == "could not understand: 'sing'"


def test_the_dashboard_refuses_an_early_unlock_with_the_reason(controller):
    controller.protective_stop()
    assert ask(controller, "unlock protective stop").startswith("Cannot unlock protective stop")
    for _ in range(2501):
        controller.cycle()
    assert ask(controller, "unlock protective stop") == "Protective stop releasing"


def test_in_local_control_the_dashboard_answers_but_does_not_act(controller):
    controller.remote_control = False
    assert ask(controller, "is in remote control") == "false"
    assert "not in remote control" in ask(controller, "power off")
    assert ask(controller, "robotmode") == "Robotmode: RUNNING"


@given(cuts)
def test_any_split_of_a_dashboard_session_gives_the_same_answers(places):
    session = b"robotmode\nPolyscopeVersion\nrunning\nget robot model\n"
    whole, parts = (
        DashboardConnection(Controller(UR5E, KinematicPlant(np.zeros(6)))) for _ in range(2)
    )
    answered = b"".join(parts.receive(part) for part in split(session, places))
    assert answered == whole.receive(session)


@given(cuts)
def test_any_split_of_an_upload_gives_the_same_programs(places):
    programs = ["def rtde_control():\n    if True:\n    end\nend\n", "def other():\nend\n"]
    uploaded: list[str] = []
    connection = ScriptConnection(uploaded.append)
    for part in split("".join(programs).encode(), places):
        assert connection.receive(part) == b""
    assert uploaded == programs


class Gripper:
    """Fingers that go where they are driven, up to an object."""

    def __init__(self, object_at: float = 2.0) -> None:
        self.fingers = RobotiqFingers()
        self.port = RobotiqConnection(self.fingers)
        self.object_at = object_at
        self.closure = 0.0

    def run(self, duration_s: float) -> None:
        for _ in range(round(duration_s / CYCLE_S)):
            aim = self.fingers.cycle(self.closure, powered=True)
            self.closure = min(aim, self.object_at)

    def activate(self) -> "Gripper":
        assert self.port.receive(b"SET ACT 1\n") == b"ack"
        self.run(1.0)
        return self

    def get(self, name: str) -> int:
        found, value = self.port.receive(f"GET {name}\n".encode()).split()
        assert found == name.encode()
        return int(value)


def test_an_inactive_gripper_does_not_move():
    gripper = Gripper()
    gripper.port.receive(b"SET POS 255 SPE 255 FOR 50 GTO 1\n")
    gripper.run(1.0)
    assert (gripper.get("STA"), gripper.closure) == (0, 0.0)


def test_activation_takes_a_while():
    gripper = Gripper()
    gripper.port.receive(b"SET ACT 1\n")
    gripper.run(0.1)
    assert gripper.get("STA") == 1
    gripper.run(0.5)
    assert gripper.get("STA") == 3


def test_for_a_moment_the_gripper_still_speaks_of_the_request_before():
    gripper = Gripper().activate()
    gripper.port.receive(b"SET POS 255 SPE 255 FOR 50 GTO 1\n")
    gripper.run(0.006)
    assert (gripper.get("PRE"), gripper.get("OBJ")) == (0, robotiq.ARRIVED)
    gripper.run(0.05)
    assert (gripper.get("PRE"), gripper.get("OBJ")) == (255, robotiq.MOVING)


@pytest.mark.parametrize(("speed", "duration_s"), [(255, 0.57), (0, 4.25)])
def test_the_stroke_takes_what_the_manual_says(speed, duration_s):
    gripper = Gripper().activate()
    gripper.port.receive(f"SET POS 255 SPE {speed} FOR 50 GTO 1\n".encode())
    gripper.run(0.95 * duration_s)
    assert gripper.closure < 1.0
    gripper.run(0.1 * duration_s)
    assert (gripper.closure, gripper.get("POS"), gripper.get("OBJ")) == (1.0, 230, robotiq.ARRIVED)


def test_an_object_stops_the_fingers_and_closure_starts_from_there():
    gripper = Gripper(object_at=0.5).activate()
    gripper.port.receive(b"SET POS 255 SPE 255 FOR 50 GTO 1\n")
    gripper.run(1.0)
    assert (gripper.get("OBJ"), gripper.closure) == (robotiq.STOPPED_CLOSING, 0.5)
    gripper.port.receive(b"SET POS 3\n")
    gripper.run(0.05)
    assert gripper.closure < 0.5


@pytest.mark.parametrize("line", ["SET POS 300", "SET POS", "SET XYZ 1", "GET XYZ", "HELLO", ""])
def test_what_the_gripper_does_not_understand_is_a_question_mark(line):
    assert Gripper().port.receive(f"{line}\n".encode()) == b"?\n"


def inject(controller: Controller, request: str) -> dict:
    connection = FaultConnection(controller, LinkFaults(), TickStatistics())
    return json.loads(connection.receive(request.encode() + b"\n"))


def test_the_fault_port_shows_what_the_controller_does(controller):
    assert inject(controller, '{"op": "protective_stop"}') == {"ok": True}
    state = inject(controller, '{"op": "state"}')
    assert state["safety_mode"] == "PROTECTIVE_STOP"
    assert inject(controller, '{"op": "restore"}') == {"ok": True}
    assert inject(controller, '{"op": "state"}')["safety_mode"] == "NORMAL"


@pytest.mark.parametrize(
    ("request_line", "reason"),
    [
        ('{"op": "explode"}', "no op 'explode'; known: protective_stop"),
        ('{"op": "silence"}', "missing 1 required"),
        ("not json", "Expecting value"),
        ("[1]", "expected an object"),
        ('{"op": "scatter", "seed": 1, "level": "none"}', "no objects"),
    ],
)
def test_the_fault_port_refuses_with_a_reason(controller, request_line, reason):
    answer = inject(controller, request_line)
    assert not answer["ok"]
    assert reason in answer["error"]


def test_statistics_are_percentiles_in_microseconds():
    statistics = TickStatistics()
    assert statistics.summary() == {"ticks": 0, "lost": 0}
    for i in range(100):
        statistics.record(i * 20e-6, 100e-6)
    summary = statistics.summary()
    assert summary["late_p50_us"] == pytest.approx(990.0)
    assert summary["cost_max_us"] == pytest.approx(100.0)
    assert summary["late_over_1ms"] == pytest.approx(0.49, abs=0.011)
