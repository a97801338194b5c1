"""Notifies the process that started this one that it is ready, by systemd's sd_notify protocol."""

from __future__ import annotations

import contextlib
import os
import socket

READY = b"READY=1"


def announce_ready() -> None:
    """Announce that everything is up; does nothing if the starter does not listen."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    with (
        contextlib.suppress(OSError),  # nobody is listening (any more), which is fine
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link,
    ):
        if address:
            link.setblocking(False)
            link.sendto(READY, address.replace("@", "\0", 1))
