"""Tests for hardware/ur_ports.py: what a closed port of a controller means, with real sockets."""

import os
import socket

import pytest

from carp_ros.errors import DeviceError
from carp_ros.hardware import ur_ports
from carp_ros.hardware.ur import UrArm
from carp_ros.hardware.ur_ports import DASHBOARD, REAL_TIME, RTDE, closed_port
from carp_ros.rig_devices import UrArmConfig


@pytest.fixture
def host():
    """Return a loopback address of this process's own, at which nothing listens."""
    pid = os.getpid()
    return f"127.{50 + (pid >> 16) % 40}.{(pid >> 8) % 256}.{pid % 254 + 1}"


def test_a_port_that_is_refused_names_the_service_and_where_to_enable_it(host):
    text = closed_port(host, (RTDE,))

    assert text.startswith(f"{host} refuses port 30004")
    assert "its RTDE does not listen" in text
    assert "Settings, Security, Services" in text
    assert "PolyScope X" in text
    assert "cable" not in text


def test_the_first_closed_port_is_named_and_open_ones_are_not(host):
    with socket.create_server((host, RTDE)):
        assert closed_port(host, (RTDE,)) == ""
        assert f"refuses port {REAL_TIME}" in closed_port(host, (RTDE, REAL_TIME))


def test_silence_is_not_a_refusal(monkeypatch, host):
    def silent(address, timeout_s):
        raise TimeoutError("timed out")

    monkeypatch.setattr(ur_ports.socket, "create_connection", silent)
    text = closed_port(host, (DASHBOARD,))

    assert f"{host} does not answer on port 29999 within 1 s" in text
    assert "cable" in text
    assert "Services" not in text


def test_a_host_that_is_none_is_told_with_the_key_of_the_rig():
    assert "arm.host" in closed_port("no.such.host.invalid", (RTDE,))


def test_the_driver_tells_that_the_dashboard_is_switched_off(host):
    with pytest.raises(DeviceError, match="its Dashboard Server does not listen"):
        UrArm(UrArmConfig(host=host)).connect()
