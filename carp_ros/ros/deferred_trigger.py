"""A service that answers once the outcome is known, without blocking its node.

A coroutine callback would do that, but while one is waiting, rclpy's executors (7.1.5) serve
nothing else and busy-loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_srvs.srv import Trigger


class DeferredTrigger:
    """One Trigger service.

    Args:
        node: The node that offers it.
        name: Name of the service.
        begin: Starts the requested action; returns an empty text, or why it is refused at once.
    """

    def __init__(self, node: Node, name: str, begin: Callable[[], str]) -> None:
        self._begin = begin
        self._refused = False
        self._waiting: list[tuple[Trigger.Response, Any]] = []
        service: Any = node.create_service(Trigger, name, self._on_request)
        self._send = service.send_response
        service.send_response = self._keep  # every executor calls it with the callback's result

    def answer(self, problem: str, message: str) -> None:
        """Answer all waiting callers: with `problem` if there is one, else with `message`."""
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
