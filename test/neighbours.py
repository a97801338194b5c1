"""Values just inside and just outside of what a dataclass says of its fields; for the borders.

Walks the annotations that `carp_ros.strict` reads, so that a field that is added is tried as well.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from carp_ros.strict import Between

OF_ANOTHER_KIND = (None, "x", True, [1], {"a": 1}, math.nan, math.inf, -math.inf)


@dataclass(frozen=True)
class Field:
    """One value of a document: the keys that lead to it, and what it may be and may not."""

    path: tuple[str, ...]
    inside: tuple[Any, ...]
    outside: tuple[Any, ...]

    @property
    def words(self) -> str:
        return ".".join(self.path)


def fields_of(kind: Any, path: tuple[str, ...] = ()) -> Iterator[Field]:
    """Yield the ruled values of a dataclass and of those in it; of a mapping, those of `any`."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        yield from _fields(hints[field.name], (*path, field.name))


def unruled(kind: Any) -> list[str]:
    """Return the numbers and texts of a dataclass that have no rule."""
    return [".".join(path) for path in _unruled(kind, ())]


def changed(document: Any, path: tuple[str, ...], value: Any) -> Any:
    """Return a copy of plain data with another value at a path."""
    if not path:
        return value
    return {**document, path[0]: changed(document.get(path[0], {}), path[1:], value)}


def _fields(kind: Any, path: tuple[str, ...]) -> Iterator[Field]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        for rule in arguments[1:]:
            if isinstance(rule, Between):
                yield _ruled(arguments[0], rule, path)
        yield from _fields(arguments[0], path)
    elif dataclasses.is_dataclass(kind):
        yield from fields_of(kind, path)
    elif origin is typing.Literal:
        outside = (*(f"{value}x" for value in arguments), "", f"{arguments[0]}\n")
        yield Field(path, arguments, (*outside, *OF_ANOTHER_KIND))
    elif origin in (typing.Union, types.UnionType):
        yield from _fields(arguments[0], path)
    elif origin is dict:
        yield from _fields(arguments[1], (*path, "any"))


def _ruled(kind: Any, rule: Between, path: tuple[str, ...]) -> Field:
    inside, outside = (rule.low, rule.high), tuple(_beyond(kind, rule))
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple and arguments[-1] is not Ellipsis:
        count = len(arguments)
        inside = tuple([value] * count for value in inside)
        outside = tuple([value, *[rule_middle(rule)] * (count - 1)] for value in outside)
    elif typing.get_origin(kind) is tuple:
        inside, outside = tuple([v] for v in inside), tuple([v] for v in outside)
    others = (v for v in OF_ANOTHER_KIND if v is not None and v != [1])
    return Field(path, inside, (*outside, *others))


def rule_middle(rule: Between) -> float:
    """Return a value that is right."""
    return 0.5 * (rule.low + rule.high)


def _beyond(kind: Any, rule: Between) -> Iterator[Any]:
    if kind is int:
        yield from (rule.low - 1, rule.high + 1, 10**12, -(10**12), 10**30)
    else:
        yield from (math.nextafter(rule.low, -math.inf), math.nextafter(rule.high, math.inf))
        yield from (-1e300, 1e300, 10**30)
        if rule.low > 0.0:
            yield from (0.0, -rule.low, -0.0)


def _unruled(kind: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        for name, hint in typing.get_type_hints(kind, include_extras=True).items():
            yield from _unruled(hint, (*path, name))
    elif origin is dict:
        for argument in arguments:
            yield from _unruled(argument, (*path, "any"))
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _unruled(argument, path)
    elif kind in (int, float, str) or origin is tuple:
        yield path
