"""Tests for hardware/ur_freedrive.py; test_ur.py has those against the emulated controller."""

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest

from carp_ros.errors import DeviceError
from carp_ros.hardware.ur_dashboard import Dashboard
from carp_ros.hardware.ur_freedrive import Freedrive
from carp_ros.hardware.ur_ports import DASHBOARD
from carp_ros.rig_devices import UrArmConfig
from carp_ros.robots import UR5E
from carp_ros.sim.plant import KinematicPlant
from carp_ros.sim.ur.controller import Controller
from carp_ros.sim.ur.dashboard import GREETING, DashboardConnection

UPRIGHT = UrArmConfig(guided_axes=("x", "y", "z"), guided_frame="tool")
POSE = [0.1, -0.2, 0.3, 0.4, 0.5, 0.6]


class Program:
    """Stands in for ur-rtde's program; keeps what it was told to do."""

    def __init__(self, enters: bool = True, status: int = 0, ends: bool = False) -> None:
        self.told: list[object] = []
        self._enters, self._status, self._ends = enters, status, ends

    def teachMode(self) -> bool:
        self.told.append("teach")
        return self._enters

    def freedriveMode(self, axes: list[int], feature: list[float]) -> bool:
        self.told.append((axes, feature))
        return self._enters

    def getFreedriveStatus(self) -> int:
        if self._ends:
            raise RuntimeError("getFreedriveStatus() function did not succeed!")
        return self._status


class Receiver:
    """Tells where the tool is."""

    def __init__(self, pose: list[float]) -> None:
        self.getActualTCPPose = lambda: pose


def begin(config: UrArmConfig, program: Program, pose: list[float] = POSE) -> bool:
    return Freedrive(config).begin(cast(Any, program), cast(Any, Receiver(pose)))


def test_the_axes_go_out_in_urscript_s_order_in_the_frame_of_the_tool_as_it_is():
    program = Program()
    assert begin(UrArmConfig(guided_axes=("rz", "y"), guided_frame="tool"), program)
    assert program.told == [([0, 1, 0, 0, 0, 1], POSE)]


def test_an_arm_that_is_wholly_free_needs_no_axes():
    program = Program()
    assert begin(UrArmConfig(guided_axes=("rz", "ry", "rx", "z", "y", "x")), program)
    assert program.told == ["teach"]


@pytest.mark.parametrize("program", [Program(enters=False), Program(ends=True)])
def test_a_program_that_does_not_confirm_frees_nothing(program):
    assert not begin(UPRIGHT, program)


@pytest.mark.parametrize(("status", "said"), [(0, False), (1, False), (2, True)])
def test_an_arm_that_resists_near_a_singularity_is_told_of(status, said, caplog):
    assert begin(UPRIGHT, Program(status=status))
    assert ("free along x, y, z, but too close to a singularity" in caplog.text) is said


def test_a_tool_that_is_nowhere_is_no_frame():
    program = Program()
    with pytest.raises(DeviceError, match=r"reports its tool at .*nan.*; expected finite numbers"):
        begin(UPRIGHT, program, [float("nan"), *POSE[1:]])
    assert not program.told


@pytest.fixture
def controller() -> Iterator[tuple[str, Controller]]:
    """Return an address at which a controller's dashboard serves one client, and the controller."""
    pid = os.getpid()
    host = f"127.{50 + (pid >> 16) % 40}.{(pid >> 8) % 256}.{pid % 254 + 1}"
    emulated = Controller(UR5E, KinematicPlant(np.zeros(6)))

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.sendall(GREETING)
            connection = DashboardConnection(emulated)
            while data := client.recv(1024):
                client.sendall(connection.receive(data))

    with socket.create_server((host, DASHBOARD)) as listener:
        server = threading.Thread(target=serve, args=[listener])
        server.start()
        yield host, emulated
        server.join(5.0)


@pytest.mark.parametrize(
    ("version", "config", "refused"),
    [
        ((5, 9, 4, 1031110), UPRIGHT, True),
        ((3, 15, 8, 106339), UPRIGHT, True),
        ((5, 9, 4, 1031110), UrArmConfig(), False),
        ((5, 10, 0, 106288), UPRIGHT, False),
        ((5, 12, 0, 1101319), UPRIGHT, False),
    ],
)
def test_a_controller_too_old_for_some_axes_is_refused(controller, version, config, refused):
    host, emulated = controller
    emulated.version = version
    with Dashboard(host) as dashboard:
        assert dashboard.polyscope_version == version
        if refused:
            with pytest.raises(DeviceError, match=rf"PolyScope {version[0]}\.{version[1]}, .*x, y"):
                Freedrive(config).require_support(dashboard)
        else:
            Freedrive(config).require_support(dashboard)


def test_a_controller_that_tells_no_version_is_refused_in_a_line(controller):
    host, emulated = controller
    emulated.version = ("of", "some", "other", "kind")
    with Dashboard(host) as dashboard, pytest.raises(DeviceError, match="expected a version"):
        Freedrive(UPRIGHT).require_support(dashboard)
