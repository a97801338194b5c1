"""What every node of this package is: its timers are steady, and its border holds."""

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

from carp_ros.ros.border import Border
from carp_ros.ros.parameter_rules import ParameterRules


class GuardedNode(Node):
    """A node whose clock may be set and whose inputs may be anything.

    Timers count steady time: ROS's own count the wall clock, and stand still for as long as that is
    set back. What a callback raises about a message or a request is refused, counted and said; what
    depended on it goes stale by its own rule. What a timer raises is a bug and ends the process.

    Args:
        name: Of the node.

    Attributes:
        border: What was refused so far.
        rules: What the node's parameters may be.
    """

    def __init__(self, name: str, **options: Any) -> None:
        # before `Node`, which makes services of its own
        self.border = Border(
            log=lambda text: self.get_logger().warning(text), alive=lambda: self.context.ok()
        )
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        # a service that waits for something must not keep others from answering
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
        """Create a timer as rclpy does, of steady time."""
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
        """Subscribe as rclpy does; a message about which the callback raises is refused."""
        take = self.border.taker(f"topic {topic}", callback)
        return super().create_subscription(msg_type, topic, take, qos_profile, **options)

    def create_service(
        self, srv_type: Any, srv_name: str, callback: Callable[..., Any], **options: Any
    ) -> Service:
        """Offer a service as rclpy does; a request about which the callback raises is refused.

        Args:
            srv_type: Type of the service.
            srv_name: Its name.
            callback: A function or a coroutine function; others are served while that waits.
            options: As rclpy has them.
        """
        answer = self.border.answerer(f"service {srv_name}", callback)
        options.setdefault("callback_group", self._beside)
        return super().create_service(srv_type, srv_name, answer, **options)

    def refuse_taking(self, entity: object, error: Exception) -> None:
        """Take note of a message that could not even be taken out of its queue."""
        self.border.refuse(f"topic {getattr(entity, 'topic_name', entity)}", error)
