"""Says why a port of a UR controller cannot be opened: no controller, or a disabled service."""

from __future__ import annotations

import socket

DASHBOARD, PRIMARY, REAL_TIME, RTDE = 29999, 30001, 30003, 30004
_SERVICES = {
    DASHBOARD: "Dashboard Server",
    PRIMARY: "Primary Client Interface",
    REAL_TIME: "Real-Time Client Interface",
    RTDE: "RTDE",
}
_ANSWER_S = 1.0


def closed_port(host: str, ports: tuple[int, ...]) -> str:
    """Return which port cannot be opened, why, and the remedy; empty if all can be opened.

    Args:
        host: Address of the controller.
        ports: Ports to try, in this order.
    """
    for port in ports:
        try:
            socket.create_connection((host, port), _ANSWER_S).close()
        except ConnectionRefusedError:
            return (
                f"{host} refuses port {port}: its {_SERVICES[port]} does not listen. From PolyScope"
                " 5.10 on, enable it and the other interfaces in Settings, Security, Services"
                " (doc/hardware_setup.md). PolyScope X has no dashboard and is not supported"
            )
        except TimeoutError:
            return (
                f"{host} does not answer on port {port} within {_ANSWER_S:g} s: check the cable,"
                " arm.host in the rig's file, and that the controller is on"
            )
        except OSError as error:
            return (
                f"{host} port {port}: {error.strerror or error}; check arm.host in the rig's file"
                " and this machine's network"
            )
    return ""
