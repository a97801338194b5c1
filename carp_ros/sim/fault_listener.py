"""A fault port served by a thread, for emulations that have no loop over sockets of their own."""

from __future__ import annotations

import contextlib
import socket
import threading

from carp_ros.errors import DeviceError
from carp_ros.sim.operation_lines import OperationLines, Operations

_BACKLOG = 4


class FaultListener:
    """Serves one client after the other until `close`.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        operations: What a client can ask for; called on the listener's thread.

    Raises:
        DeviceError: If the port is taken.
    """

    def __init__(self, host: str, port: int, operations: Operations) -> None:
        self._operations = operations
        try:
            self._socket = socket.create_server((host, port), backlog=_BACKLOG)
        except OSError as error:
            raise DeviceError(
                f"fault port {host}:{port}: {error.strerror}; choose another, or 0 for none"
            ) from error
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        for one in (self._socket, self._client):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._thread.join(1.0)

    def _serve(self) -> None:
        while True:
            try:
                self._client, _ = self._socket.accept()
            except OSError:
                return  # closed
            lines = OperationLines(self._operations)
            with self._client as client, contextlib.suppress(OSError):
                while data := client.recv(4096):
                    client.sendall(lines.receive(data))
