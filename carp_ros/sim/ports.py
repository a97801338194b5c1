"""How an emulated controller listens, and takes in its clients, without ever waiting for one."""

from __future__ import annotations

import socket

from carp_ros.errors import DeviceError


def listening(host: str, port: int) -> socket.socket:
    """Return a listener that does not block.

    Raises:
        DeviceError: If the port is in use, or the address does not belong to this machine.
    """
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        raise DeviceError(
            f"the emulated controller can not listen at {host}:{port}: {error.strerror}. Does"
            " another simulated rig run there? Stop it, or give this one another loopback"
            " address: arm.host and gripper.host of the rig"
        ) from error
    listener.setblocking(False)
    return listener


def accepted(listener: socket.socket) -> socket.socket | None:
    """Return a waiting client, whose socket does not block; None if it is gone already."""
    try:
        peer, _ = listener.accept()
    except OSError:
        return None
    peer.setblocking(False)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer
