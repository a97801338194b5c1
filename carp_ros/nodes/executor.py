"""An executor that spends its time on callbacks.

rclpy's own makes anew what it waits for before each callback, and each callback wakes it twice more
for nothing: on two busy cores that is more work than what the nodes do. This one keeps what it
waits for until an entity comes or goes, and calls timers and subscriptions directly. All that is
rare it leaves to rclpy: services, clients, guard conditions, tasks, and once a second events such
as incompatible QoS.

rclpy has an `EventsExecutor`, too; that of Jazzy's wheels (7.1.5) turns in circles and calls
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterable
from contextlib import ExitStack
from typing import Any

from rclpy.context import Context
from rclpy.exceptions import InvalidHandle
from rclpy.executors import (
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
    TimeoutException,
)
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.subscription import Subscription
from rclpy.timer import Timer

_RARE_NS = 1_000_000_000
_OFTEN = ("timer", "subscription")  # in the order in which they are called
_SELDOM = ("guard_condition", "client", "service")


class KeptExecutor(SingleThreadedExecutor):
    """Spins nodes whose timers and subscriptions call functions, not coroutines."""

    def spin(self) -> None:
        """Execute callbacks until shutdown.

        Raises:
            ExternalShutdownException: If ROS was shut down meanwhile.
            Exception: Whatever a callback raises.
        """
        while self._context.ok() and not self._is_shutdown:
            self._do_what_is_rare()
            with ExitStack() as in_use:
                self._spin_kept(_Kept(self._context, self._entities(), in_use))

    def can_execute(self, entity: Any) -> bool:
        """Return whether rclpy may execute it: not what `spin` calls itself."""
        return not isinstance(entity, (Timer, Subscription)) and super().can_execute(entity)

    def _entities(self) -> dict[str, list[Any]]:
        # the first wakes an executor when entities come or go, the second when ROS is shut down;
        # `shutdown`, in another thread, takes them away
        own = [guard for guard in (self._guard, self._sigint_gc) if guard is not None]
        entities: dict[str, list[Any]] = {"guard_condition": own}
        for node in self.get_nodes():
            for kind, those in (
                ("timer", node.timers),
                ("subscription", node.subscriptions),
                ("guard_condition", node.guards),
                ("client", node.clients),
                ("service", node.services),
            ):
                entities.setdefault(kind, []).extend(those)
        return entities

    def _spin_kept(self, kept: _Kept) -> None:
        """Call timers and subscriptions until there is anything else to do."""
        end_ns = time.monotonic_ns() + _RARE_NS
        while not kept.is_rare_ready and (left_ns := end_ns - time.monotonic_ns()) > 0:
            kept.wait(left_ns)
            if self._is_shutdown:
                return
            if not self._context.ok():
                raise ExternalShutdownException
            for timer in kept.ready("timer"):
                if timer.handle.is_timer_ready():  # not if it was cancelled meanwhile
                    _call(self._take_timer(timer))
            for subscription in kept.ready("subscription"):
                _call(self._take_subscription(subscription))

    def _do_what_is_rare(self) -> None:
        """Let rclpy execute all that is ready now."""
        try:
            for task, _, _ in self._wait_for_ready_callbacks(timeout_sec=0.0):
                task()
                if (error := task.exception()) is not None:
                    raise error
        except (TimeoutException, ShutdownException):
            return


class _Kept:
    """What is waited for; none of it is destroyed while it is in use."""

    def __init__(self, context: Context, entities: dict[str, list[Any]], in_use: ExitStack) -> None:
        self._entities: dict[str, dict[int, Any]] = {}
        for kind in (*_OFTEN, *_SELDOM):
            those = self._entities[kind] = {}
            for entity in entities.get(kind, ()):
                try:
                    in_use.enter_context(entity.handle)
                except InvalidHandle:  # destroyed already
                    continue
                those[entity.handle.pointer] = entity
        counts = {kind: len(those) for kind, those in self._entities.items()}
        if context.handle is None:
            raise ExternalShutdownException
        in_use.enter_context(context.handle)
        self._set = rclpy_implementation.WaitSet(
            counts["subscription"],
            counts["guard_condition"],
            counts["timer"],
            counts["client"],
            counts["service"],
            0,
            context.handle,
        )
        self._handles = [
            (getattr(self._set, f"add_{kind}"), [entity.handle for entity in those.values()])
            for kind, those in self._entities.items()
        ]
        self.is_rare_ready = False

    def wait(self, timeout_ns: int) -> None:
        """Wait until something is ready, or for so long."""
        self._set.clear_entities()
        for add, handles in self._handles:
            for handle in handles:
                add(handle)
        self._set.wait(timeout_ns)
        for kind in _SELDOM:
            for entity in self.ready(kind):
                self.is_rare_ready = True
                if kind == "guard_condition":
                    entity._executor_triggered = True  # rclpy triggers it anew for its own wait

    def ready(self, kind: str) -> Iterable[Any]:
        """Return the entities of a kind that are ready."""
        those = self._entities[kind]
        return [those[pointer] for pointer in self._set.get_ready_entities(kind)]


def _call(taken: Any) -> None:
    """Call what rclpy took: a function that returns a coroutine; None if there was nothing.

    Raises:
        TypeError: If the callback waits for something.
    """
    if taken is None:
        return
    coroutine: Coroutine[Any, Any, None] = taken()
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise TypeError("a callback waits for something; expected a function, which returns")
