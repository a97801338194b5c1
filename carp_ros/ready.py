"""Tell whoever started this process that it is up, by systemd's protocol (sd_notify)."""

from __future__ import annotations

import os
import socket

READY = b"READY=1"


def announce_ready() -> None:
    """Say that everything is up; does nothing unless started by one who listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address is None:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.sendto(READY, address.replace("@", "\0", 1))
