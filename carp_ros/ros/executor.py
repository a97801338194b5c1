"""An executor with less overhead per callback than rclpy's.

rclpy's executor rebuilds its wait set before each callback, and each callback wakes it twice more
for nothing: on two busy cores that costs more than the nodes' own work. This one keeps its wait set
until an entity is created or destroyed, and calls timers and subscriptions directly. Everything
rare is left to rclpy: services, clients, guard conditions, tasks, action servers and clients, and,
once a second, events such as incompatible QoS.

It uses private names of rclpy. With an rclpy version that it was not tested with, `make_executor`
returns rclpy's own executor.

rclpy also has an `EventsExecutor`; the one in Jazzy's wheels (7.1.5) busy-loops and calls nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rclpy.context import Context
from rclpy.event_handler import EventHandler
from rclpy.exceptions import InvalidHandle
from rclpy.executors import (
    Executor,
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
    TimeoutException,
)
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from rclpy.waitable import NumberOfEntities, Waitable

_RARE_NS = 1_000_000_000
_WAITING_NS = 5_000_000  # interval at which waiting coroutine callbacks are polled
_IN_VAIN_S = 0.001
_OFTEN = ("timer", "subscription")  # in the order in which they are called
_SELDOM = ("guard_condition", "client", "service")

_TRIED = ((7, 1, 0), (7, 2, 0))  # tested versions: from the first up to, but without, the second
_NEEDED = (
    "_context",
    "_guard",
    "_is_shutdown",
    "_make_handler",
    "_sigint_gc",
    "_take_subscription",
    "_take_timer",
    "_take_waitable",
    "_tasks",
    "_tasks_lock",
    "_wait_for_ready_callbacks",
)


def make_executor(warn: Callable[[str], object]) -> Executor:
    """Return a `CachedWaitSetExecutor`, or rclpy's own executor with an untested version of rclpy.

    Args:
        warn: Called with a warning in the latter case.
    """
    try:
        found = version("rclpy")
    except PackageNotFoundError:
        found = "unknown"
    executor = CachedWaitSetExecutor()
    if problem := _untested(found, executor):
        executor.shutdown()
        warn(f"{problem}: rclpy's own executor is used, which needs more CPU time")
        return SingleThreadedExecutor()
    return executor


def _untested(found: str, executor: object) -> str:
    """Describe how this rclpy differs from the tested ones; empty if it does not."""
    first, end = _TRIED
    numbers = tuple(int(part) for part in found.split(".")[:3] if part.isdecimal())
    if not first <= numbers < end:
        return f"rclpy is {found}; tested are {'.'.join(map(str, first))} to 7.1.x"
    missing = [name for name in _NEEDED if not hasattr(executor, name)]
    return f"rclpy {found} lacks {', '.join(missing)}" if missing else ""


class CachedWaitSetExecutor(SingleThreadedExecutor):
    """Executor for nodes whose callbacks are mostly plain functions of timers and subscriptions."""

    def __init__(self, *, context: Context | None = None) -> None:
        super().__init__(context=context)
        self._rclpy_runs = False

    def spin(self) -> None:
        """Execute callbacks until shutdown.

        Raises:
            ExternalShutdownException: If ROS was shut down meanwhile.
            Exception: Any exception raised by a callback.
        """
        is_asked = False
        while self._context.ok() and not self._is_shutdown:
            if not self._run_rclpy_callbacks() and is_asked:
                time.sleep(_IN_VAIN_S)  # its callback group is blocked by a waiting coroutine
            with ExitStack() as in_use:
                wait_set = _CachedWaitSet(
                    self._context, self._entities(), self._waitables(), in_use
                )
                self._spin_cached(wait_set)
                is_asked = wait_set.is_asked

    def can_execute(self, entity: Any) -> bool:
        """Return whether rclpy may execute the entity: not if `spin` calls it directly."""
        is_ours = self._rclpy_runs and isinstance(entity, (Timer, Subscription))
        return not is_ours and super().can_execute(entity)

    def _waitables(self) -> list[tuple[Waitable, Node]]:
        """Return waitables that are no events, such as actions."""
        waitables = [(waitable, node) for node in self.get_nodes() for waitable in node.waitables]
        return [(one, node) for one, node in waitables if not isinstance(one, EventHandler)]

    def _entities(self) -> dict[str, list[Any]]:
        # the first guard wakes the executor when entities come or go, the second on ROS shutdown;
        # `shutdown`, called in another thread, sets them to None
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

    def _spin_cached(self, wait_set: _CachedWaitSet) -> None:
        """Call timers and subscriptions until there is something else to do."""
        end_ns = time.monotonic_ns() + (_WAITING_NS if self._is_one_waiting() else _RARE_NS)
        while not wait_set.is_rare_ready and (left_ns := end_ns - time.monotonic_ns()) > 0:
            wait_set.wait(left_ns)
            if self._is_shutdown:
                return
            if not self._context.ok():
                raise ExternalShutdownException
            for timer in wait_set.ready("timer"):
                if timer.handle.is_timer_ready():  # not if it was cancelled meanwhile
                    self._call(self._take_timer(timer))
            for subscription in wait_set.ready("subscription"):
                self._call(self._taken(subscription))
            for waitable, node in wait_set.ready_waitables:
                if self.can_execute(waitable):
                    self._make_handler(waitable, node, self._take_waitable)  # rclpy executes it
            if self._is_one_waiting():  # a waiting coroutine may be able to continue
                return

    def _is_one_waiting(self) -> bool:
        return any(not task.done() for task, _, _ in self._tasks)

    def _taken(self, subscription: Subscription) -> Any:
        """Take a message from its queue; on failure, let the node refuse it."""
        try:
            return self._take_subscription(subscription)
        except Exception as error:
            for node in self.get_nodes():
                refuse = getattr(node, "refuse_taking", None)
                if refuse is not None and subscription in node.subscriptions:
                    refuse(subscription, error)
                    return None
            raise

    def _run_rclpy_callbacks(self) -> int:
        """Let rclpy execute everything ready and continue waiting tasks; return their number."""
        done = 0
        self._rclpy_runs = True
        try:
            for task, _, _ in self._wait_for_ready_callbacks(timeout_sec=0.0):
                done += 1
                task()
                if (error := task.exception()) is not None:
                    raise error
        except (TimeoutException, ShutdownException):
            pass
        finally:
            self._rclpy_runs = False
        return done

    def _call(self, taken: Any) -> None:
        """Run what rclpy took, a function returning a coroutine; None means nothing was taken."""
        if taken is None:
            return
        coroutine: Coroutine[Any, Any, None] = taken()
        try:
            coroutine.send(None)
        except StopIteration:
            return
        self.create_task(coroutine)  # the callback is waiting for something


class _CachedWaitSet:
    """A wait set with its entities, none of which is destroyed while in use."""

    def __init__(
        self,
        context: Context,
        entities: dict[str, list[Any]],
        waitables: list[tuple[Waitable, Node]],
        in_use: ExitStack,
    ) -> None:
        self._entities: dict[str, dict[int, Any]] = {}
        for kind in (*_OFTEN, *_SELDOM):
            those = self._entities[kind] = {}
            for entity in entities.get(kind, ()):
                try:
                    in_use.enter_context(entity.handle)
                except InvalidHandle:  # destroyed already
                    continue
                those[entity.handle.pointer] = entity
        self._waitables: list[tuple[Waitable, Node]] = []
        others = NumberOfEntities()
        for waitable, node in waitables:
            try:
                in_use.enter_context(waitable)
            except InvalidHandle:
                continue
            self._waitables.append((waitable, node))
            others += waitable.get_num_entities()
        counts = {kind: len(those) for kind, those in self._entities.items()}
        if context.handle is None:
            raise ExternalShutdownException
        in_use.enter_context(context.handle)
        self._set = rclpy_implementation.WaitSet(
            counts["subscription"] + others.num_subscriptions,
            counts["guard_condition"] + others.num_guard_conditions,
            counts["timer"] + others.num_timers,
            counts["client"] + others.num_clients,
            counts["service"] + others.num_services,
            others.num_events,
            context.handle,
        )
        self._handles = [
            (getattr(self._set, f"add_{kind}"), [entity.handle for entity in those.values()])
            for kind, those in self._entities.items()
        ]
        self.is_rare_ready = False
        self.is_asked = False  # whether a service or client is ready
        self.ready_waitables: list[tuple[Waitable, Node]] = []

    def wait(self, timeout_ns: int) -> None:
        """Wait until something is ready, or until the timeout."""
        self._set.clear_entities()
        for add, handles in self._handles:
            for handle in handles:
                add(handle)
        for waitable, _ in self._waitables:
            waitable.add_to_wait_set(self._set)
        self._set.wait(timeout_ns)
        self.ready_waitables = [pair for pair in self._waitables if pair[0].is_ready(self._set)]
        for kind in _SELDOM:
            for entity in self.ready(kind):
                self.is_rare_ready = True
                if kind == "guard_condition":
                    entity._executor_triggered = True  # so rclpy triggers it again for its own wait
                else:
                    self.is_asked = True

    def ready(self, kind: str) -> Iterable[Any]:
        """Return the entities of a kind that are ready."""
        those = self._entities[kind]
        ready = self._set.get_ready_entities(kind)
        return [those[pointer] for pointer in ready if pointer in those]
