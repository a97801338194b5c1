"""Claims a name that only one process on this machine can hold, for as long as it lives.

The name is an abstract Unix socket: the kernel frees it however its process dies, and no file is
left behind. It is unique within the network namespace, which is also the scope of loopback
addresses and of ROS nodes that discover each other on one machine.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import socket
import struct
import time
from collections.abc import Callable

from carp_ros.errors import DeviceError

_POLL_S = 0.1
_ASKERS = 1000  # backlog for processes asking who the holder is: they are never accepted
_CREDENTIALS = struct.Struct("3i")  # of SO_PEERCRED: process, user, group
_LONGEST = 100  # bytes; the kernel allows 107


class TakenError(DeviceError):
    """The name is held by another process.

    Attributes:
        holder: Id of that process; 0 if unknown.
        who: The same in words.
    """

    def __init__(self, name: str, holder: int) -> None:
        self.holder = holder
        self.who = f"process {holder}" if holder else "another process"
        super().__init__(f"{name} is taken by {self.who}")


class Claim:
    """Holds a name until `release` or the end of this process.

    Args:
        name: The name to claim.

    Raises:
        TakenError: If another process holds it.
    """

    def __init__(self, name: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        address = _address(name)
        try:
            self._socket.bind(address)
            self._socket.listen(_ASKERS)
        except OSError as error:
            self._socket.close()
            if error.errno != errno.EADDRINUSE:
                raise
            raise TakenError(name, _holder(address)) from None

    def release(self) -> None:
        """Release the name."""
        self._socket.close()


def claim_within(name: str, timeout_s: float, waiting: Callable[[str], None]) -> Claim:
    """Claim a name whose holder may be about to end.

    Args:
        name: The name to claim.
        timeout_s: How long to wait for its holder to end.
        waiting: Called once, with the holder, if waiting is necessary.

    Raises:
        TakenError: If the holder did not end in time.
    """
    deadline_s = time.monotonic() + timeout_s
    try:
        return Claim(name)
    except TakenError as error:
        waiting(error.who)
        while time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
            with contextlib.suppress(TakenError):
                return Claim(name)
        raise


def domain() -> str:
    """Return the ROS domain of this process, as text."""
    return os.environ.get("ROS_DOMAIN_ID") or "0"


def _address(name: str) -> bytes:
    text = f"carp_ros: {name}".encode()
    if len(text) > _LONGEST:
        text = text[:40] + hashlib.sha256(text).hexdigest()[:32].encode()
    return b"\0" + text


def _holder(address: bytes) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.setblocking(False)
        try:
            link.connect(address)
        except OSError:
            return 0  # it ended meanwhile, or its backlog is full
        size = _CREDENTIALS.size
        credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return _CREDENTIALS.unpack(credentials)[0]
