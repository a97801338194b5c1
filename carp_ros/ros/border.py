"""The border of a node: what one message, request or parameter does wrong costs itself alone."""

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
_MOST_SOURCES = 50  # are counted by name: who asks for made-up ones fills no memory


class Border:
    """Refuses what callbacks raise about what they took, counts it by source, and says it.

    A refusal is logged at once, and then at most once a second of each source.

    Args:
        log: Takes one line.
        alive: Whether ROS runs; what is raised once it does not is about that.
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
        """How many were refused, by source: `topic tool_pose`, `service control/enable`."""
        self.last = ""
        """The newest refusal: its source and why."""

    def refuse(self, source: str, why: BaseException | str) -> str:
        """Take note of one refusal, and return why in words."""
        text = why if isinstance(why, str) else _told(why)
        now_ns = self._now_ns()
        if source not in self.counts and len(self.counts) >= _MOST_SOURCES:
            source = "others"
        self.counts[source] += 1
        self.last, self._newest_ns = f"{source}: {text}", now_ns
        said_ns = self._said_ns.get(source)
        if said_ns is None or now_ns - said_ns >= _AGAIN_NS:
            self._said_ns[source] = now_ns
            self._log(f"refused {self.last} ({self.counts[source]} of it so far)")
        return text

    def taker(self, source: str, take: Callable[..., Any]) -> Callable[[Any], Any]:
        """Return a subscription's callback that refuses a message if `take` raises."""
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

    def answerer(self, source: str, answer: Callable[..., Any]) -> Callable[[Any, Any], Any]:
        """Return a service's callback that says why, if `answer` raises."""
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
        """Return what was refused since the node began, None if nothing was."""
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
    """Return an error in words, and where it was raised if nobody foresaw it."""
    if isinstance(error, CarpError):
        return in_words(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    return f"{in_words(error)}{where}"


def _refusal(request: Any, response: Any, why: str) -> Any:
    """Return the answer that refuses a request, as far as its type has room for words."""
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
