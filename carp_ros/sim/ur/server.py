"""The controller's ports and clock; the only module of this emulator with sockets.

All input is received at the beginning of a cycle and all output is sent at its end, so that the
process wakes 500 times a second however many clients there are.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from carp_ros.sim.fault_port import LinkFaults
from carp_ros.sim.plant import CYCLE_S
from carp_ros.sim.ports import accepted, listening
from carp_ros.sim.tick_statistics import TickStatistics
from carp_ros.sim.ur.controller import MOST_PAUSE_S, Controller
from carp_ros.sim.ur.dashboard import GREETING, DashboardConnection
from carp_ros.sim.ur.fault_port import FaultConnection
from carp_ros.sim.ur.robotiq import RobotiqConnection
from carp_ros.sim.ur.rtde import RtdeConnection, RtdeError
from carp_ros.sim.ur.script import ScriptConnection
from carp_ros.sim.ur.state import output_variables

RTDE_PORT, SCRIPT_PORT, DASHBOARD_PORT, GRIPPER_PORT = 30004, 30003, 29999, 63352
_PUBLISH_EVERY = 2  # cycles: 250 Hz, well above any camera
_MAX_UNSENT = 1 << 16
_FAREWELL_S = 4.0  # the servo needs up to 3 s to stop the arm


class Connection(Protocol):
    """The controller's side of a client's connection, on any port."""

    def receive(self, data: bytes) -> bytes:
        """Process the client's data; return the answer."""
        ...


@dataclass
class _Client:
    socket: socket.socket
    connection: Connection
    unsent: bytearray = field(default_factory=bytearray)


class Server:
    """Serves one controller on the standard ports of `host`.

    Args:
        controller: The emulated controller.
        host: Address to listen on; each controller needs its own loopback address.
        fault_port: Port for fault injection; 0 for none.

    Raises:
        DeviceError: If a port is in use, or the address does not belong to this machine.
    """

    def __init__(self, controller: Controller, host: str, fault_port: int) -> None:
        self._controller = controller
        self._link = LinkFaults()
        self._statistics = TickStatistics()
        self._poll = select.poll()
        self._listeners: dict[int, tuple[socket.socket, Callable[[], Connection]]] = {}
        self._clients: dict[int, _Client] = {}
        self._stop_at_s: float | None = None
        outputs = output_variables(controller)
        self._listen(
            host,
            RTDE_PORT,
            lambda: RtdeConnection(outputs, controller.registers, controller.version),
        )
        self._listen(host, SCRIPT_PORT, lambda: ScriptConnection(controller.upload))
        self._listen(host, DASHBOARD_PORT, lambda: DashboardConnection(controller))
        self._listen(host, GRIPPER_PORT, lambda: RobotiqConnection(controller.fingers))
        if fault_port:
            self._listen(
                host,
                fault_port,
                lambda: FaultConnection(controller, self._link, self._statistics),
            )

    def run(self) -> None:
        """Serve until `stop`, starting each cycle at its absolute time.

        After a pause, missed cycles are run in quick succession to catch up. If it was longer than
        `MOST_PAUSE_S`, they are dropped and count as lost, and the watchdog may end the program.
        """
        due_s = time.perf_counter()
        while not self._is_over():
            due_s += CYCLE_S
            time.sleep(max(0.0, due_s - time.perf_counter()))
            start_s = time.perf_counter()
            late_s = start_s - due_s
            if late_s > MOST_PAUSE_S:
                self._statistics.lost += int(late_s / CYCLE_S)
                self._controller.slept(late_s)
                due_s = start_s
            self._cycle(due_s)
            self._statistics.record(late_s, time.perf_counter() - start_s)

    def stop(self) -> None:
        """Make `run` return; may be called from a signal handler.

        While an RTDE client is connected, `run` continues for up to 4 s, so that the client can
        first bring the arm to rest and disconnect.
        """
        if self._stop_at_s is None:
            self._stop_at_s = time.perf_counter() + _FAREWELL_S

    def close(self) -> None:
        """Close every socket."""
        for client in list(self._clients.values()):
            self._drop(client)
        for listener, _ in self._listeners.values():
            listener.close()

    def _is_over(self) -> bool:
        if self._stop_at_s is None:
            return False
        clients = self._clients.values()
        served = any(isinstance(client.connection, RtdeConnection) for client in clients)
        return not served or time.perf_counter() > self._stop_at_s

    def _cycle(self, due_s: float) -> None:
        """Advance by 2 ms, which end at `due_s` of the steady clock."""
        silent = self._controller.time_s < self._link.silent_until_s
        for descriptor, _ in self._poll.poll(0):
            if descriptor in self._listeners:
                self._accept(descriptor)
            elif descriptor in self._clients:
                client = self._clients[descriptor]
                if not silent or isinstance(client.connection, FaultConnection):
                    self._receive(client)
        # The waiting commands are distributed over the cycles still to catch up, as each would have
        # had its own cycle in a controller that is never late. The lateness is measured after
        # reading the sockets, since this process may have been preempted after waking.
        late = max(0, int((time.perf_counter() - due_s) / CYCLE_S))
        for client in list(self._clients.values()):
            connection = client.connection
            if isinstance(connection, RtdeConnection) and connection.waiting and not silent:
                self._take_in(client, b"", -(-connection.waiting // (late + 1)))
        self._controller.cycle()
        if self._statistics.ticks % _PUBLISH_EVERY == 0:
            late_s = time.perf_counter() - due_s
            self._controller.plant.publish(time.time_ns() - int(late_s * 1e9))
        self._send_states(silent)

    def _send_states(self, silent: bool) -> None:
        messages = b"".join(self._controller.messages)
        self._controller.messages.clear()
        for client in list(self._clients.values()):
            connection = client.connection
            if not isinstance(connection, RtdeConnection):
                continue
            if self._link.drop:
                self._drop(client)
            elif connection.started and not silent:
                self._send(client, messages + connection.cycle())
        self._link.drop = False

    def _listen(self, host: str, port: int, connect: Callable[[], Connection]) -> None:
        listener = listening(host, port)
        self._poll.register(listener, select.POLLIN)
        self._listeners[listener.fileno()] = (listener, connect)

    def _accept(self, descriptor: int) -> None:
        listener, connect = self._listeners[descriptor]
        peer = accepted(listener)
        if peer is None:
            return
        client = _Client(peer, connect())
        self._clients[peer.fileno()] = client
        self._poll.register(peer, select.POLLIN)
        if isinstance(client.connection, DashboardConnection):
            self._send(client, GREETING)

    def _receive(self, client: _Client) -> None:
        try:
            data = client.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client)
        elif isinstance(client.connection, RtdeConnection):
            self._take_in(client, data, 0)  # `_cycle` processes its input messages
        else:
            self._send(client, client.connection.receive(data))

    def _take_in(self, client: _Client, data: bytes, most_inputs: int) -> None:
        assert isinstance(client.connection, RtdeConnection)
        try:
            self._send(client, client.connection.receive(data, most_inputs))
        except RtdeError:
            self._drop(client)

    def _send(self, client: _Client, data: bytes) -> None:
        client.unsent += data
        if not client.unsent:
            return
        try:
            del client.unsent[: client.socket.send(client.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)
            return
        if len(client.unsent) > _MAX_UNSENT:  # drop a client that does not read
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        descriptor = client.socket.fileno()
        if self._clients.pop(descriptor, None) is None:
            return
        self._poll.unregister(descriptor)
        client.socket.close()
        if isinstance(client.connection, RtdeConnection):
            client.connection.close()
