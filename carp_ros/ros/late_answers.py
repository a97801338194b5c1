"""A service whose answer comes once the outcome is known; its node goes on meanwhile.

A coroutine as a callback would do that, but while one waits rclpy's executors (7.1.5) serve nothing
else and turn in circles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger


class LateTrigger:
    """One Trigger service.

    Args:
        node: That offers it.
        name: Of the service.
        begin: Begins what is asked for; returns empty, or why it is refused at once.
    """

    def __init__(self, node: Node, name: str, begin: Callable[[], str]) -> None:
        self._begin = begin
        self._refused = False
        self._waiting: list[tuple[Trigger.Response, Any]] = []
        service: Any = node.create_service(Trigger, name, self._on_request)
        self._send = service.send_response
        service.send_response = self._keep  # which every executor calls with what was returned

    def answer(self, problem: str, message: str) -> None:
        """Answer everybody who waits: with `problem` if there was one, else with `message`."""
        waiting, self._waiting = self._waiting, []
        for response, header in waiting:
            response.success, response.message = not problem, problem or message
            self._send(response, header)

    def _on_request(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = self._begin()
        self._refused = bool(response.message)
        return response

    def _keep(self, response: Trigger.Response, header: Any) -> None:
        if self._refused:
            self._send(response, header)
        else:
            self._waiting.append((response, header))
