"""A client's connection to the arm."""

from __future__ import annotations

from carp_ros.sim.franka.controller import FrankaController
from carp_ros.sim.franka.protocol import (
    CONNECT_ANSWER,
    CONNECT_REQUEST,
    ROBOT_VERSION,
    Command,
)

_WRONG_VERSION = 1


class ArmConnection:
    """One client of the arm.

    Attributes:
        udp_port: Where the client receives states; 0 before it connects.
    """

    def __init__(self, controller: FrankaController) -> None:
        self._controller = controller
        self.udp_port = 0

    def receive(self, data: bytes) -> bytes:
        """Process the client's data; return what is to be sent at once.

        Raises:
            ValueError: If a message is malformed.
        """
        controller = self._controller
        for command, number, payload in controller.stream.split(data):
            if command == Command.CONNECT and len(payload) >= CONNECT_REQUEST.size:
                version, udp_port = CONNECT_REQUEST.unpack_from(payload)
                fits = version == ROBOT_VERSION
                self.udp_port = udp_port if fits else 0
                answer = CONNECT_ANSWER.pack(0 if fits else _WRONG_VERSION, ROBOT_VERSION)
                controller.answers.append(controller.stream.message(command, number, answer))
            else:
                controller.request(command, number, payload)
        return self.send()

    def send(self) -> bytes:
        """Return the answers that are due."""
        answers = b"".join(self._controller.answers)
        self._controller.answers.clear()
        return answers

    def close(self) -> None:
        """The client is gone: its motion ends."""
        self._controller.forget_client()
