"""Tell whoever started this process that it is up, by systemd's protocol (sd_notify)."""

from __future__ import annotations

import contextlib
import os
import socket

READY = b"READY=1"


def announce_ready() -> None:
    """Say that everything is up; does nothing unless started by one who listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    with (
        contextlib.suppress(OSError),  # nobody listens there (any more): it is an offer, no duty
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link,
    ):
        if address:
            link.setblocking(False)
            link.sendto(READY, address.replace("@", "\0", 1))
