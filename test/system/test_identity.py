"""Two systems on one machine: the second is refused, or lives beside the first."""

import itertools
import os
import socket

import pytest

from carp_ros.errors import DeviceError
from carp_ros.rig import CELL_ADDRESS, load_rig
from carp_ros.share import share_folder
from carp_ros.system.bringup import describe
from carp_ros.system.identity import SystemReservation

_numbers = itertools.count()
HOST = f"127.90.{os.getpid() // 250 % 250}.{os.getpid() % 250}"
SIMULATED = share_folder() / "config" / "ur5e_sim.yaml"


@pytest.fixture(autouse=True)
def domain(monkeypatch):
    """Be where no other run of the tests is."""
    monkeypatch.setenv("ROS_DOMAIN_ID", f"{os.getpid()}{next(_numbers):03d}")


@pytest.fixture
def rig_file(tmp_path) -> str:
    """Return the file of a simulated rig at an address that no other run has."""
    path = tmp_path / "ur5e_sim.yaml"
    path.write_text(SIMULATED.read_text().replace("127.0.0.2", HOST))
    return str(path)


def addresses(identity: SystemReservation) -> set[str]:
    return {node.environment[CELL_ADDRESS] for node in identity.nodes}


def test_a_second_system_is_refused_until_the_first_has_left(monkeypatch):
    first = SystemReservation(describe("ur5e_sim"))
    with pytest.raises(
        DeviceError, match=rf"already running .*process {os.getpid()}.*namespace or"
    ):
        SystemReservation(describe("ur5e_sim"))
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    SystemReservation(describe("ur5e_sim")).release()
    monkeypatch.undo()
    first.release()


def test_another_namespace_is_another_place_with_an_address_of_its_own(rig_file):
    first = SystemReservation(describe(rig_file))
    second = SystemReservation(describe(rig_file, namespace="left"))
    assert len(addresses(first)) == len(addresses(second)) == 1  # the same for all its processes
    assert addresses(first) != addresses(second)
    assert "is taken: the simulated robot is at" in second.remark
    first.release()
    second.release()


def test_an_address_that_another_program_listens_on_is_left_to_it(rig_file):
    with socket.create_server((HOST, 30004)):
        identity = SystemReservation(describe(rig_file))
        assert HOST not in addresses(identity)
        identity.release()


def test_a_system_that_finds_no_address_leaves_its_place(monkeypatch):
    monkeypatch.setattr("carp_ros.system.identity._is_free", lambda address: False)
    for _ in range(2):
        with pytest.raises(DeviceError, match="no loopback address after it is free"):
            SystemReservation(describe("ur5e_sim"))


def test_every_process_reads_the_address_that_was_taken(monkeypatch):
    monkeypatch.setenv(CELL_ADDRESS, "127.9.9.9")
    rig = load_rig(SIMULATED)
    assert rig.arm.host == rig.gripper.host == "127.9.9.9"
    monkeypatch.delenv(CELL_ADDRESS)
    assert load_rig(SIMULATED).arm.host != "127.9.9.9"


def test_a_robot_of_steel_stays_where_it_is(monkeypatch):
    monkeypatch.setenv(CELL_ADDRESS, "127.9.9.9")
    assert load_rig(SIMULATED.with_name("ur5e.yaml")).arm.host == "192.168.1.10"
