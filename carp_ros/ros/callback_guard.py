"""Guards a node: a bad message, request or parameter is refused and harms nothing else."""

from __future__ import annotations

import inspect
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult

from carp_ros.errors import CarpError
from carp_ros.refusal import in_words
from carp_ros.ros.diagnostics import OK, WARN, status

_AGAIN_NS = 1_000_000_000
_RECENT_NS = 10_000_000_000
_MOST_SOURCES = 50  # sources counted by name: bounds memory if names are made up


class CallbackGuard:
    """Turns exceptions raised by callbacks into refusals, counts them by source and logs them.

    The first refusal of a source is logged at once, later ones at most once a second.

    Args:
        log: Logs one line.
        alive: Whether ROS is running; errors raised after its shutdown are passed on.
        now_ns: A steady clock.
    """

    def __init__(
        self,
        log: Callable[[str], object],
        alive: Callable[[], bool] = lambda: True,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._log = log
        self._alive = alive
        self._now_ns = now_ns
        self._said_ns: dict[str, int] = {}
        self._newest_ns: int | None = None
        self.counts: Counter[str] = Counter()
        """Number of refusals by source, such as `topic tool_pose` or `service control/enable`."""
        self.last = ""
        """The newest refusal: its source and reason."""

    def refuse(self, source: str, why: BaseException | str) -> str:
        """Record a refusal and return its reason as text."""
        text = why if isinstance(why, str) else _told(why)
        now_ns = self._now_ns()
        if source not in self.counts and len(self.counts) >= _MOST_SOURCES:
            source = "others"
        self.counts[source] += 1
        self.last, self._newest_ns = f"{source}: {text}", now_ns
        said_ns = self._said_ns.get(source)
        if said_ns is None or now_ns - said_ns >= _AGAIN_NS:
            self._said_ns[source] = now_ns
            self._log(f"refused {self.last} ({self.counts[source]} so far)")
        return text

    def guard_subscription(self, source: str, take: Callable[..., Any]) -> Callable[[Any], Any]:
        """Return a subscription callback that refuses the message if `take` raises."""
        if inspect.iscoroutinefunction(take):

            async def wait(msg: Any) -> None:
                try:
                    await take(msg)
                except Exception as error:
                    self._refuse_or_raise(source, error)

            return wait

        def call(msg: Any) -> None:
            try:
                take(msg)
            except Exception as error:
                self._refuse_or_raise(source, error)

        return call

    def guard_service(self, source: str, answer: Callable[..., Any]) -> Callable[[Any, Any], Any]:
        """Return a service callback that answers with the reason if `answer` raises."""
        if inspect.iscoroutinefunction(answer):

            async def wait(request: Any, response: Any) -> Any:
                try:
                    return await answer(request, response)
                except Exception as error:
                    return _refusal(request, response, self._refuse_or_raise(source, error))

            return wait

        def call(request: Any, response: Any) -> Any:
            try:
                return answer(request, response)
            except Exception as error:
                return _refusal(request, response, self._refuse_or_raise(source, error))

        return call

    def status(self, node: str) -> DiagnosticStatus | None:
        """Return a status about refusals since the node started, None if there were none."""
        if self._newest_ns is None:
            return None
        is_recent = self._now_ns() - self._newest_ns < _RECENT_NS
        values = {**self.counts, "last": self.last}
        level, message = (WARN, self.last) if is_recent else (OK, "nothing of late")
        return status(f"{node}: refused", level, message, values)

    def _refuse_or_raise(self, source: str, error: Exception) -> str:
        if not self._alive():
            raise error
        return self.refuse(source, error)


def _told(error: BaseException) -> str:
    """Describe an error; if it is unexpected (no `CarpError`), add where it was raised."""
    if isinstance(error, CarpError):
        return in_words(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    return f"{in_words(error)}{where}"


def _refusal(request: Any, response: Any, why: str) -> Any:
    """Fill the response to refuse a request, with the reason where its type has a field for it."""
    if hasattr(response, "success"):
        response.success = False
    if hasattr(response, "message"):
        response.message = why
    if hasattr(response, "results") and hasattr(request, "parameters"):
        refused = SetParametersResult(successful=False, reason=why)
        response.results = [refused] * len(request.parameters)
    if hasattr(response, "result"):
        response.result = SetParametersResult(successful=False, reason=why)
    return response
