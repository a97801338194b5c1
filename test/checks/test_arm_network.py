"""Tests for checks/arm_network.py: on sockets of this machine, and with made-up round trips."""

import socket
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.checks.arm_network import (
    ROUND_TRIPS,
    LatencyProbe,
    PingProbe,
    PortsProbe,
    judged,
)
from carp_ros.checks.ping import Ping
from carp_ros.checks.probe import line_of
from carp_ros.errors import DeviceError
from carp_ros.reports.check import CheckCode
from carp_ros.rig_devices import UrArmConfig


@contextmanager
def listening():
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    with listening() as port:
        return port


class FakeConnect:
    """Answers after the given round trips in turn; None is a lost packet."""

    def __init__(self, *taken_s):
        self._taken_s = list(taken_s)
        self.calls = 0

    def __call__(self, host, port, timeout_s):
        taken_s = self._taken_s[self.calls % len(self._taken_s)]
        self.calls += 1
        if taken_s is None:
            raise TimeoutError("timed out")
        return taken_s


class FakePing(FakeConnect):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def round_trip_s(self, timeout_s):
        try:
            return self("", 0, timeout_s)
        except TimeoutError:
            return None


def test_open_ports_are_green():
    with listening() as port:
        line = line_of(PortsProbe("127.0.0.1", {port: "RTDE"}))
    assert line.code is CheckCode.OK
    assert line.expected == f"open: {port} RTDE"


@pytest.mark.realtime
def test_the_emulated_controller_offers_every_service_of_the_driver(ur_controller_process):
    host = ur_controller_process.host
    assert line_of(PortsProbe(host, UrArmConfig.services)).code is CheckCode.OK
    latency = line_of(LatencyProbe(host, UrArmConfig.often_port, at_most_s=0.2))
    assert latency.code is CheckCode.OK, latency.value


def test_a_closed_port_is_named_with_its_service():
    port = closed_port()
    line = line_of(PortsProbe("127.0.0.1", {port: "Dashboard Server"}))
    assert line.code is CheckCode.PORT_CLOSED
    assert f"{port} (Dashboard Server)" in line.value


def test_an_arm_that_does_not_answer_is_asked_once_only():
    connect = FakeConnect(None)
    line = line_of(PortsProbe("10.0.0.9", {1: "one", 2: "two"}, connect))
    assert (line.code, connect.calls) == (CheckCode.ARM_UNREACHABLE, 1)


def test_a_port_s_round_trip_is_measured_whether_it_is_open_or_closed():
    with listening() as port:
        opened = line_of(LatencyProbe("127.0.0.1", port, at_most_s=0.2))
    refused = line_of(LatencyProbe("127.0.0.1", closed_port(), at_most_s=0.2))
    assert (opened.code, refused.code) == (CheckCode.OK, CheckCode.OK)


@pytest.mark.parametrize(
    ("taken_s", "code"),
    [
        ((0.0005,), CheckCode.OK),
        ((0.0005, 0.0005, 0.0005, 0.009), CheckCode.OK),  # one late in four: the median counts
        ((0.003,), CheckCode.NETWORK_SLOW),
        ((0.0005, None), CheckCode.NETWORK_LOSSY),
        ((None,), CheckCode.ARM_UNREACHABLE),
    ],
)
def test_latency_and_loss_are_judged(taken_s, code):
    connect = FakeConnect(*taken_s)
    assert line_of(LatencyProbe("arm", 29999, 0.002, connect)).code is code
    ping = FakePing(*taken_s)
    expected = CheckCode.UNREADABLE if code is CheckCode.ARM_UNREACHABLE else code
    assert line_of(PingProbe("arm", 0.002, lambda host: ping)).code is expected


def test_a_dead_network_is_given_up_soon():
    connect = FakeConnect(None)
    line_of(LatencyProbe("arm", 29999, 0.002, connect))
    assert connect.calls < ROUND_TRIPS / 2


def test_where_icmp_is_not_permitted_the_line_says_so_and_is_not_red():
    def refuse(host):
        raise PermissionError(13, "Permission denied")

    assert line_of(PingProbe("arm", 0.002, refuse)).code is CheckCode.NOT_PERMITTED


def test_a_host_without_a_way_to_it_is_unreachable():
    def refuse(host):
        raise DeviceError("arm can't be reached: no route")

    assert line_of(PingProbe("arm", 0.002, refuse)).code is CheckCode.ARM_UNREACHABLE


def test_a_real_ping_of_this_machine_comes_back():
    try:
        ping = Ping("127.0.0.1")
    except PermissionError:
        pytest.skip("this user may not send ICMP")
    with ping:
        taken_s = ping.round_trip_s(1.0)
    assert taken_s is not None
    assert 0.0 < taken_s < 1.0


@given(st.lists(st.none() | st.floats(1e-5, 0.5), min_size=1, max_size=50))
def test_a_lost_packet_is_never_green(taken_s):
    code = judged("arm", taken_s, 1.0, "TCP").code
    assert (code is None) == (None not in taken_s)


def test_a_machine_without_icmp_sockets_says_so(monkeypatch):
    def no_socket(*_):
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr("socket.socket", no_socket)
    line = line_of(PingProbe("127.0.0.1", 0.002))
    assert (line.code, "Protocol not supported" in line.value) == (CheckCode.NOT_PERMITTED, True)
