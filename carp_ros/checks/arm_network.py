"""The network between this machine and the arm's controller: its ports, its latency, its losses."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from carp_ros.checks.ping import Ping, Pinger
from carp_ros.checks.probe import CheckResult
from carp_ros.errors import DeviceError
from carp_ros.refusal import in_words
from carp_ros.reports.check import CheckCode

ROUND_TRIPS = 20
_GIVEN_UP_AFTER = 3  # in a row: nothing will answer
_ANSWERS_S = 0.5
_PAUSE_S = 0.02
_CABLE = "check the cable, the address in the rig's file, and that the controller is on"
_BUSY_NETWORK = (
    "connect the arm by a cable of its own, without a switch, and switch off the network card's"
    " power saving (ethtool --set-eee <interface> eee off)"
)

Connect = Callable[[str, int, float], float]
"""Opens and closes a TCP connection to a host's port within a time; returns the round trip in [s].

A port that refuses has answered, too: `ConnectionRefusedError` after the round trip."""


def connect(host: str, port: int, timeout_s: float) -> float:
    """Open and close a TCP connection; return the time until it was open in [s].

    Raises:
        ConnectionRefusedError: If the port is closed.
        OSError: If the host does not answer.
    """
    begun_s = time.perf_counter()
    with socket.create_connection((host, port), timeout_s):
        return time.perf_counter() - begun_s


@dataclass(frozen=True)
class PortsProbe:
    """Whether the controller offers the services that the driver uses.

    Attributes:
        host: Its address.
        services: Their names, by port.
    """

    host: str
    services: Mapping[int, str]
    connect: Connect = connect
    needed_for: str = ""
    name: str = "arm's ports"
    code: CheckCode = CheckCode.ARM_UNREACHABLE

    def look(self) -> CheckResult:
        """Connect to each port once."""
        closed = []
        for port in self.services:
            try:
                self.connect(self.host, port, 2.0 * _ANSWERS_S)
            except ConnectionRefusedError:
                closed.append(port)
            except OSError as error:
                why = error.strerror or str(error)
                return CheckResult(f"{self.host} port {port}: {why}", _CABLE, self.code)
        expected = "open: " + ", ".join(f"{port} {name}" for port, name in self.services.items())
        if not closed:
            return CheckResult(f"all open at {self.host}", expected=expected)
        names = " and ".join(f"{port} ({self.services[port]})" for port in closed)
        return CheckResult(
            f"closed at {self.host}: {names}",
            "enable these services (doc/hardware_setup.md); no other program may be connected",
            CheckCode.PORT_CLOSED,
            expected,
        )


@dataclass(frozen=True)
class LatencyProbe:
    """How long a connection to the controller takes, and how many get lost.

    A connection takes one round trip; a lost packet delays it by a second, so it counts as lost.

    Attributes:
        host, port: A port that may be connected to often; it may be closed.
        at_most_s: The longest round trip that leaves the servo time to spare.
    """

    host: str
    port: int
    at_most_s: float
    connect: Connect = connect
    needed_for: str = ""
    name: str = "arm's network"
    code: CheckCode = CheckCode.NETWORK_SLOW

    def look(self) -> CheckResult:
        """Connect many times."""
        return judged(self.host, self._round_trips(), self.at_most_s, "TCP")

    def _round_trips(self) -> list[float | None]:
        taken_s: list[float | None] = []
        while len(taken_s) < ROUND_TRIPS:
            begun_s = time.perf_counter()
            try:
                taken_s.append(self.connect(self.host, self.port, _ANSWERS_S))
            except ConnectionRefusedError:
                taken_s.append(time.perf_counter() - begun_s)
            except OSError:
                taken_s.append(None)
            if taken_s[-_GIVEN_UP_AFTER:] == [None] * _GIVEN_UP_AFTER:
                break
            time.sleep(_PAUSE_S)
        return taken_s


@dataclass(frozen=True)
class PingProbe:
    """The same by ICMP, where this user may send it.

    Attributes:
        host: The controller's address.
        at_most_s: The longest round trip that leaves the servo time to spare.
        open_ping: Opens what pings a host.
    """

    host: str
    at_most_s: float
    open_ping: Callable[[str], AbstractContextManager[Pinger]] = Ping
    needed_for: str = ""
    name: str = "arm's ping"
    code: CheckCode = CheckCode.NETWORK_SLOW

    def look(self) -> CheckResult:
        """Ping many times."""
        try:
            ping = self.open_ping(self.host)
        except OSError as error:
            return CheckResult(
                f"this user may not send ICMP here: {in_words(error)}",
                "the line above measures the same by TCP; to permit it: sysctl -w"
                " net.ipv4.ping_group_range='0 2147483647'",
                CheckCode.NOT_PERMITTED,
            )
        except DeviceError as error:
            return CheckResult(self.host, str(error), CheckCode.ARM_UNREACHABLE)
        taken_s: list[float | None] = []
        with ping as pinger:
            while len(taken_s) < ROUND_TRIPS:
                taken_s.append(pinger.round_trip_s(_ANSWERS_S))
                if taken_s == [None] * _GIVEN_UP_AFTER:
                    return CheckResult(
                        f"{self.host} answers no ping",
                        "harmless if the line above is green: a firewall may drop pings",
                        CheckCode.UNREADABLE,
                    )
                time.sleep(_PAUSE_S)
        return judged(self.host, taken_s, self.at_most_s, "ICMP")


def judged(
    host: str, taken_s: Sequence[float | None], at_most_s: float, protocol: str
) -> CheckResult:
    """Judge round trips to a host; None stands for a lost one."""
    answered = [s for s in taken_s if s is not None]
    lost = len(taken_s) - len(answered)
    expected = f"none lost, and half of them within {at_most_s * 1e3:g} ms"
    if not answered:
        found = f"{host}: all of {len(taken_s)} lost"
        return CheckResult(found, _CABLE, CheckCode.ARM_UNREACHABLE, expected)
    middle_s = statistics.median(answered)
    found = (
        f"{protocol} round trip to {host}: {middle_s * 1e3:.2f} ms (median),"
        f" {max(answered) * 1e3:.2f} ms (worst); {lost} of {len(taken_s)} lost"
    )
    if lost:
        return CheckResult(found, _BUSY_NETWORK, CheckCode.NETWORK_LOSSY, expected)
    if middle_s > at_most_s:
        return CheckResult(found, _BUSY_NETWORK, CheckCode.NETWORK_SLOW, expected)
    return CheckResult(found, expected=expected)
