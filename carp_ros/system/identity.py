"""Reserves what only one system on a machine can have: its ROS namespace and its robot's address.

A second system in the same place is refused before it starts anything. If a simulated robot's
loopback address is taken, it gets another one; the processes of the system are told by an
environment variable, which `carp_ros.rig.load_rig` applies.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
from collections.abc import Iterator

from carp_ros.errors import DeviceError
from carp_ros.processes.claim import Claim, TakenError, domain
from carp_ros.rig import CELL_ADDRESS
from carp_ros.system.bringup import NodeProcess

_ADDRESSES = 200  # number of addresses to try


class SystemReservation:
    """Holds a system's reservations until `release` or the end of this process.

    Args:
        nodes: The nodes, from `carp_ros.system.bringup.describe`.

    Attributes:
        nodes: The same nodes; if the robot is simulated, with its address in their environment.
        remark: How the system deviates from the rig file; empty if it does not.

    Raises:
        DeviceError: If such a system is already running.
    """

    def __init__(self, nodes: tuple[NodeProcess, ...]) -> None:
        self.remark = ""
        place = f"namespace /{nodes[0].namespace} of ROS domain {domain()}"
        try:
            self._claims = [Claim(f"system in {place}")]
        except TakenError as error:
            raise DeviceError(
                f"a system is already running in {place} ({error.who}): stop it, or start"
                " this one under another namespace or ROS_DOMAIN_ID"
            ) from None
        wanted = nodes[0].environment.get(CELL_ADDRESS)
        if wanted:
            try:
                address = self._take_address(wanted)
            except DeviceError:
                self.release()
                raise
            nodes = tuple(
                dataclasses.replace(node, environment={**node.environment, CELL_ADDRESS: address})
                for node in nodes
            )
        self.nodes = nodes

    def release(self) -> None:
        """Release all reservations."""
        for claim in self._claims:
            claim.release()

    def _take_address(self, wanted: str) -> str:
        for address in _candidates(wanted):
            try:
                claim = Claim(f"simulated robot at {address}")
            except TakenError:
                continue
            if _is_free(address):
                self._claims.append(claim)
                if address != wanted:
                    self.remark = f"{wanted} is taken: the simulated robot is at {address}"
                return address
            claim.release()
        raise DeviceError(
            f"the address {wanted} of the simulated robot is taken by another program, and no"
            " loopback address after it is free: set arm.host and gripper.host of the rig to a"
            " free one, such as 127.1.0.1"
        )


def _candidates(wanted: str) -> Iterator[str]:
    """Yield the address and, if it is a loopback address, those that follow it."""
    yield wanted
    try:
        first = ipaddress.IPv4Address(wanted)
    except ValueError:
        return
    for number in range(1, _ADDRESSES):
        address = first + number
        if first.is_loopback and address.is_loopback:
            yield str(address)


def _is_free(address: str) -> bool:
    """Return whether an emulated controller could listen on this address now."""
    from carp_ros.sim.controllers import PORTS  # `sim` is needed only on a simulated rig

    try:
        for port in PORTS:
            socket.create_server((address, port)).close()
    except OSError:
        return False
    return True
