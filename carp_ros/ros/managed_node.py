"""What every lifecycle node of this package is: no order of transitions ends it, or leaks."""

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
    """A lifecycle node that refuses what can't be and cleans up behind what could.

    A transition that is not possible now is refused in one line. What `configure` or `activate`
    creates of timers, subscriptions, publishers and clients goes when that ends. A step that raises
    a `CarpError` is not possible yet, and the node stays as it was; whatever else it raises leads
    to a node without configuration, which may be configured anew.

    Subclasses fill in the four steps. Services they offer with `offer` in their constructor: they
    answer in every state.

    Args:
        name: Of the node.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._configured: _Entities | None = None  # what was there before
        self._activated: _Entities | None = None
        self._refusal = ""
        services: dict[Any, Any] = {service.srv_type: service for service in self.services}
        self._transitions: Callable[..., Any] = services[GetAvailableTransitions].callback
        change = services[ChangeState]
        change.callback = self._changer(change.callback)

    def configure(self) -> None:
        """Get what the node needs; nothing moves.

        Raises:
            CarpError: If it can't be had now.
        """

    def activate(self) -> None:
        """Begin to work.

        Raises:
            CarpError: If that is not possible yet.
        """

    def deactivate(self) -> None:
        """Stop what moves or records, and work no more. Also called before whatever ends a node."""

    def cleanup(self) -> None:
        """Give back what `configure` got, even if it got only a part."""

    @property
    def is_configured(self) -> bool:
        """Whether the node has what it needs."""
        return self._configured is not None

    @property
    def is_active(self) -> bool:
        """Whether the node works."""
        return self._activated is not None

    def offer(self, kind: Any, name: str, answer: Callable[..., Any]) -> None:
        """Offer a service that is refused, in words, while the node is not configured.

        Args:
            kind: Type of the service.
            name: Its name.
            answer: A function or a coroutine function, as for `create_service`.
        """
        self.create_service(kind, name, self._if_configured(answer))

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configure, or be as before."""
        self._configured = _Entities(self)
        result = self._step("configure", self.configure)
        if result is not _SUCCESS:
            self._let_go()
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activate, or be as before."""
        self._activated = _Entities(self)
        result = self._step("activate", self.activate)
        if result is not _SUCCESS:
            self._hold()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate: never refused."""
        return self._step("deactivate", self._hold, may_fail=False)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Clean up: never refused."""
        return self._step("clean up", self._let_go, may_fail=False)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Hold, and clean up."""
        return self._step("shut down", self._end, may_fail=False)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Hold, and be without configuration."""
        return self._step("recover", self._end, may_fail=False)

    def destroy_node(self) -> None:
        """Hold before anything is torn down."""
        try:
            self._end()
        except Exception:
            if self.context.ok():  # else ROS was gone before all was said
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
        """Do a step of the lifecycle, and say once why it could not be done."""
        try:
            step()
        except CarpError as error:
            self._say_once(f"could not {name}: {error}")
            return _FAILURE if may_fail else _ERROR
        except Exception as error:
            self.border.refuse(f"transition {name}", error)
            return _ERROR
        self._refusal = ""
        return _SUCCESS

    def _say_once(self, refusal: str) -> None:
        if refusal != self._refusal:  # it is tried again and again
            self._refusal = refusal
            self.get_logger().info(refusal)

    def _changer(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """Return what answers `change_state`: rclpy's own ends the process if it is impossible."""

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

        return self.border.answerer("transition", answer)

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
    """What a node had of a kind at some moment: all that came later can be destroyed."""

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
