"""Base class of the lifecycle nodes: no sequence of transitions crashes it or leaks resources."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from lifecycle_msgs.msg import TransitionDescription
from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from carp_ros.errors import CarpError, DeviceError
from carp_ros.ros.guarded_node import GuardedNode

_SUCCESS = TransitionCallbackReturn.SUCCESS
_FAILURE = TransitionCallbackReturn.FAILURE
_ERROR = TransitionCallbackReturn.ERROR


class ManagedNode(GuardedNode, LifecycleNode):
    """A lifecycle node that refuses impossible transitions and cleans up after possible ones.

    A transition that is impossible in the current state is refused in one line. Timers,
    subscriptions, publishers and clients that `configure` or `activate` creates are destroyed when
    that state is left. If a step raises a `CarpError`, it is not possible yet and the node keeps
    its state; any other exception leaves the node unconfigured, and it may be configured again.

    Subclasses implement the four steps. They offer services with `offer` in their constructor;
    those answer in every state.

    Args:
        name: Name of the node.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._configured: _Entities | None = None  # the entities from before configuring
        self._activated: _Entities | None = None
        self._refusal = ""
        services: dict[Any, Any] = {service.srv_type: service for service in self.services}
        self._transitions: Callable[..., Any] = services[GetAvailableTransitions].callback
        change = services[ChangeState]
        change.callback = self._changer(change.callback)

    def configure(self) -> None:
        """Acquire what the node needs; nothing moves.

        Raises:
            CarpError: If something is not available yet.
        """

    def activate(self) -> None:
        """Start working.

        Raises:
            CarpError: If that is not possible yet.
        """

    def deactivate(self) -> None:
        """Stop motion or recording, and stop working. Also called before the node is destroyed."""

    def cleanup(self) -> None:
        """Release what `configure` acquired, even if it acquired only a part."""

    @property
    def is_configured(self) -> bool:
        """Whether the node is configured."""
        return self._configured is not None

    @property
    def is_active(self) -> bool:
        """Whether the node is active."""
        return self._activated is not None

    def offer(self, kind: Any, name: str, answer: Callable[..., Any]) -> None:
        """Offer a service that refuses requests, with a reason, while the node is not configured.

        Args:
            kind: Type of the service.
            name: Its name.
            answer: A function or a coroutine function, as for `create_service`.
        """
        self.create_service(kind, name, self._if_configured(answer))

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configure, or stay unconfigured."""
        self._configured = _Entities(self)
        result = self._step("configure", self.configure)
        if result is not _SUCCESS:
            self._let_go()
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activate, or stay inactive."""
        self._activated = _Entities(self)
        result = self._step("activate", self.activate)
        if result is not _SUCCESS:
            self._hold()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate; never refused."""
        return self._step("deactivate", self._hold, may_fail=False)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Clean up; never refused."""
        return self._step("clean up", self._let_go, may_fail=False)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate and clean up."""
        return self._step("shut down", self._end, may_fail=False)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate and return to the unconfigured state."""
        return self._step("recover", self._end, may_fail=False)

    def destroy_node(self) -> None:
        """Deactivate and clean up before anything is torn down."""
        try:
            self._end()
        except Exception:
            if self.context.ok():  # otherwise ROS was shut down before everything was published
                raise
        finally:
            super().destroy_node()

    def _end(self) -> None:
        try:
            self._hold()
        finally:
            self._let_go()

    def _hold(self) -> None:
        if self._activated is None:
            return
        before, self._activated = self._activated, None
        try:
            self.deactivate()
        finally:
            before.destroy_newer(self)

    def _let_go(self) -> None:
        if self._configured is None:
            return
        before, self._configured = self._configured, None
        try:
            self.cleanup()
        finally:
            before.destroy_newer(self)

    def _step(
        self, name: str, step: Callable[[], None], *, may_fail: bool = True
    ) -> TransitionCallbackReturn:
        """Run a step of the lifecycle; log once why it failed."""
        try:
            step()
        except CarpError as error:
            self._say_once(f"could not {name}: {error}")
            return _FAILURE if may_fail else _ERROR
        except Exception as error:
            self.callback_guard.refuse(f"transition {name}", error)
            return _ERROR
        self._refusal = ""
        return _SUCCESS

    def _say_once(self, refusal: str) -> None:
        if refusal != self._refusal:  # transitions are retried: log only changes
            self._refusal = refusal
            self.get_logger().info(refusal)

    def _changer(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the `change_state` callback: rclpy's own crashes on an impossible transition."""

        def answer(request: ChangeState.Request, response: ChangeState.Response) -> Any:
            wanted, possible = request.transition, self._possible()
            by_label = any(t.transition.label == wanted.label for t in possible)
            by_number = any(t.transition.id == wanted.id for t in possible)
            if by_label if wanted.label else by_number:
                return change(request, response)
            names = sorted({t.transition.label for t in possible}) or ["none"]
            raise DeviceError(
                f"{wanted.label or wanted.id!r} is not possible now; possible are"
                f" {', '.join(names)}"
            )

        return self.callback_guard.guard_service("transition", answer)

    def _possible(self) -> list[TransitionDescription]:
        answer = GetAvailableTransitions.Response()
        self._transitions(GetAvailableTransitions.Request(), answer)
        return list(answer.available_transitions)

    def _if_configured(self, answer: Callable[..., Any]) -> Callable[..., Any]:
        def refuse() -> None:
            if not self.is_configured:
                raise DeviceError(
                    f"{self.get_name()} is not configured: configure and activate it first, as"
                    " supervisor_node does"
                )

        if inspect.iscoroutinefunction(answer):

            async def wait(request: Any, response: Any) -> Any:
                refuse()
                return await answer(request, response)

            return wait

        def call(request: Any, response: Any) -> Any:
            refuse()
            return answer(request, response)

        return call


class _Entities:
    """Snapshot of a node's entities; those created later can be destroyed."""

    def __init__(self, node: ManagedNode) -> None:
        self._kept = {kind: set(those) for kind, those in _entities(node)}

    def destroy_newer(self, node: ManagedNode) -> None:
        for kind, those in _entities(node):
            for entity in [one for one in those if one not in self._kept[kind]]:
                with suppress(KeyError):
                    getattr(node, f"destroy_{kind}")(entity)


def _entities(node: ManagedNode) -> Iterable[tuple[str, list[Any]]]:
    return (
        ("timer", list(node.timers)),
        ("subscription", list(node.subscriptions)),
        ("client", list(node.clients)),
        ("service", list(node.services)),
        ("publisher", list(node.publishers)),
    )
