"""The controller's ports and clock; the only module of this emulator with sockets.

Arm and hand serve one client each, as on the robot; another is turned away.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from carp_ros.sim.fault_port import LinkFaults
from carp_ros.sim.franka.connection import ArmConnection
from carp_ros.sim.franka.controller import CYCLE_S, FrankaController
from carp_ros.sim.franka.fault_port import FciFaultConnection
from carp_ros.sim.franka.hand import HandConnection
from carp_ros.sim.franka.protocol import HAND_PORT, ROBOT_PORT, MotionCommand
from carp_ros.sim.ports import accepted, listening
from carp_ros.sim.tick_statistics import TickStatistics

_log = logging.getLogger(__name__)

_PUBLISH_EVERY = 4  # cycles: 250 Hz, well above any camera
_HAND_EVERY = 10  # cycles: 100 Hz
_MOST_LATE_S = 0.003  # beyond it, cycles are dropped: a client had no state to answer either
_FAREWELL_S = 4.0  # the servo needs up to 3 s to stop the arm


class _Client:
    """A connection over TCP, with the UDP socket of its states once it asked for them."""

    def __init__(
        self, peer: socket.socket, connection: ArmConnection | HandConnection | FciFaultConnection
    ) -> None:
        self.socket = peer
        self.connection = connection
        self.udp: socket.socket | None = None
        self.sent = 0
        self._unsent = bytearray()

    def receive(self) -> None:
        """Process what has arrived.

        Raises:
            OSError: If the connection is gone.
            ValueError: If a message is malformed.
        """
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError("closed by the client")
        self.send(self.connection.receive(data))
        self._open_udp()

    @property
    def owes(self) -> bool:
        """Whether something could not be sent yet."""
        return bool(self._unsent)

    def send(self, data: bytes) -> None:
        """Send what can be sent now, and keep the rest."""
        self._unsent += data
        if self._unsent:
            with suppress(BlockingIOError):
                del self._unsent[: self.socket.send(self._unsent)]

    def send_state(self, state: Callable[[int], bytes]) -> None:
        """Send the next state, made for its message number, if the client asked for states."""
        if self.udp is not None:
            self.sent += 1
            with suppress(OSError):  # the client is gone: its TCP connection will say so
                self.udp.send(state(self.sent))

    def commands(self) -> list[bytes]:
        """Return the datagrams that have arrived."""
        datagrams: list[bytes] = []
        while self.udp is not None:
            try:
                datagrams.append(self.udp.recv(2048))
            except OSError:  # none, or nobody there
                break
        return datagrams

    def close(self) -> None:
        """Close the sockets."""
        self.socket.close()
        if self.udp is not None:
            self.udp.close()
        if not isinstance(self.connection, FciFaultConnection):
            self.connection.close()

    def _open_udp(self) -> None:
        connection = self.connection
        if isinstance(connection, FciFaultConnection) or self.udp or not connection.udp_port:
            return
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.socket.getsockname()[0], 0))
        self.udp.connect((self.socket.getpeername()[0], connection.udp_port))
        self.udp.setblocking(False)


class FciServer:
    """Serves one controller and its hand on the standard ports of `host`.

    Args:
        controller: The emulated controller.
        host: Address to listen on; each controller needs its own loopback address.
        fault_port: Port for fault injection; 0 for none.

    Raises:
        DeviceError: If a port is in use, or the address does not belong to this machine.
    """

    def __init__(self, controller: FrankaController, host: str, fault_port: int) -> None:
        self._controller = controller
        self._link = LinkFaults()
        self._statistics = TickStatistics()
        self._poll = select.poll()
        self._listeners: dict[int, socket.socket] = {}
        self._connect: dict[
            int, Callable[[], ArmConnection | HandConnection | FciFaultConnection]
        ] = {}
        self._clients: dict[int, _Client] = {}
        self._stop_at_s: float | None = None
        self._listen(host, ROBOT_PORT, lambda: ArmConnection(controller))
        self._listen(host, HAND_PORT, lambda: HandConnection(controller.hand))
        if fault_port:
            self._listen(
                host,
                fault_port,
                lambda: FciFaultConnection(controller, self._link, self._statistics),
            )

    def run(self) -> None:
        """Serve until `stop`, starting each cycle at its absolute time."""
        due_s = time.perf_counter()
        while not self._is_over():
            due_s += CYCLE_S
            time.sleep(max(0.0, due_s - time.perf_counter()))
            start_s = time.perf_counter()
            late_s = start_s - due_s
            if late_s > _MOST_LATE_S:
                self._statistics.lost += int(late_s / CYCLE_S)
                due_s = start_s
            self._cycle()
            self._statistics.record(late_s, time.perf_counter() - start_s)

    def stop(self) -> None:
        """Make `run` return; may be called from a signal handler.

        While a client moves the arm, `run` continues for up to 4 s, so that the client can first
        bring the arm to rest and disconnect.
        """
        if self._stop_at_s is None:
            self._stop_at_s = time.perf_counter() + _FAREWELL_S

    def close(self) -> None:
        """Close every socket."""
        for client in list(self._clients.values()):
            self._drop(client)
        for listener in self._listeners.values():
            listener.close()

    def _is_over(self) -> bool:
        if self._stop_at_s is None:
            return False
        return not self._controller.moving or time.perf_counter() > self._stop_at_s

    def _cycle(self) -> None:
        controller = self._controller
        silent = controller.time_s < self._link.silent_until_s
        for descriptor, _ in self._poll.poll(0):
            if descriptor in self._listeners:
                self._accept(descriptor)
            elif descriptor in self._clients:
                client = self._clients[descriptor]
                if not silent or isinstance(client.connection, FciFaultConnection):
                    self._attempt(client, client.receive)
        for client in self._of(ArmConnection):
            for datagram in client.commands():
                command = MotionCommand.from_bytes(datagram)
                if command is not None and not silent:
                    controller.command(command)
        controller.cycle()
        cycles = self._statistics.ticks
        if cycles % _PUBLISH_EVERY == 0:
            controller.plant.publish(time.time_ns())
        if not silent:
            self._send(cycles)
        if self._link.drop:
            self._link.drop = False
            for client in self._of(ArmConnection, HandConnection):
                self._drop(client)

    def _send(self, cycles: int) -> None:
        """Send states, then the answers that refer to them."""
        controller = self._controller
        for client in self._of(ArmConnection):
            client.send_state(controller.state().to_bytes)
        for client in self._of(HandConnection):
            if cycles % _HAND_EVERY == 0:
                client.send_state(controller.hand.state_bytes)
        for client in self._of(ArmConnection, HandConnection):
            assert not isinstance(client.connection, FciFaultConnection)
            data = client.connection.send()
            if data or client.owes:
                self._attempt(client, lambda client=client, data=data: client.send(data))

    def _of(self, *kinds: type) -> list[_Client]:
        return [one for one in self._clients.values() if isinstance(one.connection, kinds)]

    def _listen(
        self,
        host: str,
        port: int,
        connect: Callable[[], ArmConnection | HandConnection | FciFaultConnection],
    ) -> None:
        listener = listening(host, port)
        self._poll.register(listener, select.POLLIN)
        self._listeners[listener.fileno()] = listener
        self._connect[listener.fileno()] = connect

    def _accept(self, descriptor: int) -> None:
        peer = accepted(self._listeners[descriptor])
        if peer is None:
            return
        connection = self._connect[descriptor]()
        if not isinstance(connection, FciFaultConnection) and self._of(type(connection)):
            peer.close()
            return
        self._clients[peer.fileno()] = _Client(peer, connection)
        self._poll.register(peer, select.POLLIN)

    def _attempt(self, client: _Client, action: Callable[[], None]) -> None:
        """Do something with a client, and drop it if it is gone or sends nonsense."""
        try:
            action()
        except OSError:
            self._drop(client)
        except ValueError as error:
            _log.warning("a client sent nonsense and is dropped: %s", error)
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        descriptor = client.socket.fileno()
        if self._clients.pop(descriptor, None) is None:
            return
        self._poll.unregister(descriptor)
        client.close()
