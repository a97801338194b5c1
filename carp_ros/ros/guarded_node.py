"""Base class of every node: steady timers, and callbacks that survive bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from carp_ros.ros.callback_guard import CallbackGuard
from carp_ros.ros.parameter_rules import ParameterRules


class GuardedNode(Node):
    """A node that tolerates clock changes and arbitrary input.

    Timers use steady time: ROS's own follow the wall clock, and stall when that is set back. If a
    callback raises, its message or request is refused, counted and logged; whatever depends on it
    times out by its own rule. If a timer raises, that is a bug and ends the process.

    Args:
        name: Name of the node.

    Attributes:
        callback_guard: Handles and counts refusals.
        rules: Rules for the values of the node's parameters.
    """

    def __init__(self, name: str, **options: Any) -> None:
        # before `Node.__init__`, which creates services
        self.callback_guard = CallbackGuard(
            log=lambda text: self.get_logger().warning(text), alive=lambda: self.context.ok()
        )
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        # a waiting service must not block the others
        self._beside = ReentrantCallbackGroup()
        super().__init__(name, **options)
        self.rules = ParameterRules(self)

    def create_timer(
        self,
        timer_period_sec: float,
        callback: Callable[..., Any],
        callback_group: CallbackGroup | None = None,
        clock: Clock | None = None,
        autostart: bool = True,
    ) -> Timer:
        """Create a timer as rclpy does, but on steady time."""
        return super().create_timer(
            timer_period_sec, callback, callback_group, clock or self._steady, autostart
        )

    def create_subscription(
        self,
        msg_type: Any,
        topic: str,
        callback: Callable[..., Any],
        qos_profile: QoSProfile | int,
        **options: Any,
    ) -> Subscription:
        """Subscribe as rclpy does; a message for which the callback raises is refused."""
        take = self.callback_guard.guard_subscription(f"topic {topic}", callback)
        return super().create_subscription(msg_type, topic, take, qos_profile, **options)

    def create_service(
        self, srv_type: Any, srv_name: str, callback: Callable[..., Any], **options: Any
    ) -> Service:
        """Offer a service as rclpy does; a request for which the callback raises is refused.

        Args:
            srv_type: Type of the service.
            srv_name: Name of the service.
            callback: A function or a coroutine function; while that waits, others are served.
            options: Passed to rclpy.
        """
        answer = self.callback_guard.guard_service(f"service {srv_name}", callback)
        options.setdefault("callback_group", self._beside)
        return super().create_service(srv_type, srv_name, answer, **options)

    def refuse_taking(self, entity: object, error: Exception) -> None:
        """Refuse a message that could not be taken from its queue."""
        self.callback_guard.refuse(f"topic {getattr(entity, 'topic_name', entity)}", error)
