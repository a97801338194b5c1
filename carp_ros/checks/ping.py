"""ICMP echo without root, where the kernel permits it (icmp(7), ping_group_range)."""

from __future__ import annotations

import socket
import struct
import time
from types import TracebackType
from typing import Protocol

from carp_ros.errors import DeviceError

_ECHO_REQUEST = 8
_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence: RFC 792


class Pinger(Protocol):
    """Pings one host."""

    def round_trip_s(self, timeout_s: float) -> float | None:
        """Ping once and return how long the reply took; None if none came in time."""
        ...


class Ping:
    """Pings one host.

    Args:
        host: Its name or address.

    Raises:
        OSError: If this user may not send ICMP, or this machine has no sockets for it.
        DeviceError: If the host has no address or can't be reached from here.
    """

    def __init__(self, host: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        self._sequence = 0
        try:
            self._socket.connect((host, 0))
        except OSError as error:
            self._socket.close()
            raise DeviceError(
                f"{host} can't be reached: {error.strerror}; check the address in the rig's file"
                " and this machine's network"
            ) from error

    def __enter__(self) -> Ping:
        """Return this; on exit the socket is closed."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the socket."""
        self._socket.close()

    def round_trip_s(self, timeout_s: float) -> float | None:
        """Send one echo request and return how long its reply took; None if none came in time."""
        self._sequence = (self._sequence + 1) % 65536
        # the kernel fills in the identifier and the checksum
        request = _HEADER.pack(_ECHO_REQUEST, 0, 0, 0, self._sequence) + bytes(48)
        begun_s = time.perf_counter()
        try:
            self._socket.send(request)
            while (left_s := timeout_s - (time.perf_counter() - begun_s)) > 0.0:
                self._socket.settimeout(left_s)
                reply = self._socket.recv(1024)
                if len(reply) >= _HEADER.size and _HEADER.unpack_from(reply)[4] == self._sequence:
                    return time.perf_counter() - begun_s
        except OSError:  # no reply, or the kernel's word that the host is unreachable
            return None
        return None
