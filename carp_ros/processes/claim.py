"""A name that one process of this machine has, and no other, for as long as it lives.

It is an abstract Unix socket: the kernel frees it when its process dies, however, and nothing lies
in any folder. Its realm is the network namespace, which is also that of the loopback addresses and
of ROS nodes that hear each other on one machine.
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
_ASKERS = 1000  # who may ask for the holder: nobody ever accepts them
_CREDENTIALS = struct.Struct("3i")  # of SO_PEERCRED: process, user, group
_LONGEST = 100  # bytes; the kernel takes 107


class TakenError(DeviceError):
    """A name that another process has.

    Attributes:
        holder: The process's number; 0 if the kernel does not say.
        who: The same in words.
    """

    def __init__(self, name: str, holder: int) -> None:
        self.holder = holder
        self.who = f"process {holder}" if holder else "another process"
        super().__init__(f"{name} is taken by {self.who}")


class Claim:
    """Has a name until `release`, or the process's end.

    Args:
        name: What is claimed, in words.

    Raises:
        TakenError: If another process has it.
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
        """Give the name up."""
        self._socket.close()


def claim_within(name: str, timeout_s: float, waiting: Callable[[str], None]) -> Claim:
    """Claim a name whose holder may be about to end.

    Args:
        name: What is claimed.
        timeout_s: How long to wait for its holder to end.
        waiting: Called once, with who has it, if it is necessary to wait.

    Raises:
        TakenError: If it did not.
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
            return 0  # it ended meanwhile, or others ask it right now
        size = _CREDENTIALS.size
        credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return _CREDENTIALS.unpack(credentials)[0]
