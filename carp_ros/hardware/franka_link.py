"""What franky-control raises, as one line with the remedy."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import franky

from carp_ros.errors import DeviceError

ARM_PORT, HAND_PORT = 1337, 1338
FRANKY_ERRORS = (
    franky.CommandException,
    franky.ControlException,
    franky.Exception,
    franky.IncompatibleVersionException,
    franky.InvalidOperationException,
    franky.ModelException,
    franky.NetworkException,
    franky.ProtocolException,
    franky.RealtimeException,
    franky.TorqueSignalTimeoutException,
    RuntimeError,  # from libfranka, of a robot model that it can't use
)
"""Everything that a call of franky-control may raise; they share no base class."""

_ANSWERS_S = 1.0


@contextmanager
def one_line(what: str, host: str = "", port: int = 0) -> Iterator[None]:
    """Turn what franky-control raises in the body into a `DeviceError`.

    Args:
        what: Begins the error's text, as `the arm at 172.16.0.2`.
        host: Given where the body connects, for the reason why its port is closed.
        port: That port.

    Raises:
        DeviceError: In place of franky-control's exceptions.
    """
    try:
        yield
    except FRANKY_ERRORS as error:
        # asked only now, as the robot serves one client and might take this for it
        closed = closed_port(host, port) if isinstance(error, franky.NetworkException) else ""
        raise DeviceError(f"{what}: {closed or _explained(error)}") from error


@contextmanager
def control_loop_priority() -> Iterator[None]:
    """Give this thread the highest real-time priority while it starts franky-control's loop.

    The loop's thread inherits it. franky-control gives it to the thread that connects anyway, and
    leaves it there, where it would starve every other program on its core.
    """
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    highest = os.sched_param(os.sched_get_priority_max(os.SCHED_FIFO))
    try:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, highest)
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def closed_port(host: str, port: int) -> str:
    """Return why a port of the robot can't be opened, and the remedy; empty if it can."""
    if not port:
        return ""
    try:
        socket.create_connection((host, port), _ANSWERS_S).close()
    except ConnectionRefusedError:
        if port == HAND_PORT:
            return f"port {port} is closed: set Franka Hand as the robot's end effector in Desk"
        return f"port {port} is closed: unlock the joints and activate FCI in Desk"
    except TimeoutError:
        return (
            f"port {port} does not answer within {_ANSWERS_S:g} s: check the cable, the address in"
            " the rig's file, and that the robot is on"
        )
    except OSError as error:
        return (
            f"port {port}: {error.strerror or error}; check the address in the rig's file and this"
            " machine's network"
        )
    return ""


def _explained(error: Exception) -> str:
    text = " ".join(str(error).split()).removeprefix("libfranka: ")
    if isinstance(error, franky.RealtimeException):
        return (
            f"{text}; run a kernel with PREEMPT_RT, or set arm.enforce_realtime: false and accept"
            " that the robot stops whenever this machine is late"
        )
    if isinstance(error, franky.IncompatibleVersionException):
        return f"{text}; franky-control 2.0.0 needs an FR3 with system 5.9 or later"
    if isinstance(error, franky.NetworkException):
        return (
            f"{text.rstrip('.')}; check the cable, and that no other program commands it: its link"
            " serves only one"
        )
    return text
