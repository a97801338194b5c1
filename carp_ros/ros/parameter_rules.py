"""Rules for a node's parameters: published in descriptors, checked at start and on every change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from carp_ros.refusal import in_words, shortened
from carp_ros.strict import Between, Matching, Rule

TEXT = Matching(r"[^\x00-\x1f\x7f]{0,500}", "a line of at most 500 characters")
NOT_EMPTY = Matching(r"[^\x00-\x1f\x7f]{1,4000}", "a path: one line, not empty")


@dataclass(frozen=True)
class OneOf:
    """A value of a closed set."""

    values: Sequence[Any]

    def expectation(self, value: Any) -> str:
        """Return the allowed values as text; empty if `value` is one of them."""
        named = [str(known) or "'' (empty)" for known in self.values]
        return "" if value in self.values else f"one of {', '.join(named)}"


class ParameterRules:
    """Checks the parameters of one node.

    Args:
        node: The node that owns the parameters.

    Raises:
        ValueError: If the node is told to use simulated time.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        # With a clock from a topic, its publisher could stop everything that depends on time.
        self._rules: dict[str, Rule] = {"use_sim_time": OneOf((False,))}
        if problem := self._problem("use_sim_time", node.get_parameter("use_sim_time").value):
            raise ValueError(problem)
        node.add_on_set_parameters_callback(self._check)

    def declare(
        self,
        name: str,
        default: Any,
        description: str,
        rule: Rule | None = None,
        *,
        read_only: bool = False,
    ) -> Any:
        """Declare a parameter and return its value.

        Args:
            name: Name of the parameter.
            default: Default value, which also determines the type.
            description: Description for people.
            rule: Rule that values must satisfy.
            read_only: Whether it is read once, at start.

        Raises:
            ValueError: If it was given an invalid value at start.
        """
        rule = rule or (TEXT if isinstance(default, str) else None)
        if rule is not None:
            self._rules[name] = rule
        descriptor = ParameterDescriptor(
            description=description,
            read_only=read_only,
            additional_constraints="" if rule is None else _in_words(rule),
        )
        if isinstance(rule, Between) and type(default) is int:
            descriptor.integer_range = [
                IntegerRange(from_value=int(rule.low), to_value=int(rule.high), step=0)
            ]
        elif isinstance(rule, Between):
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=rule.low, to_value=rule.high, step=0.0)
            ]
        try:
            return self._node.declare_parameter(name, default, descriptor).value
        except ParameterException as error:
            kind = type(default).__name__
            raise ValueError(f"parameter {name}: {in_words(error)}; expected a {kind}") from error

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        problems = [self._problem(parameter.name, parameter.value) for parameter in parameters]
        reason = "; ".join(filter(None, problems))
        return SetParametersResult(successful=not reason, reason=reason)

    def _problem(self, name: str, value: Any) -> str:
        rule = self._rules.get(name)
        expected = rule.expectation(value) if rule is not None and value is not None else ""
        return f"{name} is {shortened(repr(value), 120)}; expected {expected}" if expected else ""


def _in_words(rule: Rule) -> str:
    if isinstance(rule, Matching):
        return rule.words
    return str(rule.expectation(None)) if isinstance(rule, OneOf) else ""
