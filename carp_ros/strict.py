"""Plain data into frozen dataclasses, strictly: nothing unknown, missing, of a wrong kind or size.

For files that decide what a robot does. A key that nobody reads is a typing error that would
otherwise be believed, so it is refused, by name. What a number may be stands where its field does:

    @dataclass(frozen=True)
    class ServoConfig:
        rate_hz: Annotated[float, Between(100.0, 1000.0)] = 500.0
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Protocol, TypeVar, runtime_checkable

from carp_ros.refusal import shortened

Read = TypeVar("Read")

Named = Mapping[type, Mapping[str, Any]]
"""By type, the values that a file refers to by name."""

_LARGEST_WHOLE = 2**63 - 1


class Rule(Protocol):
    """What a value of the right kind must fulfil, too; stands in a field's `Annotated`."""

    def expectation(self, value: Any) -> str:
        """Return what was expected instead of `value`; empty if it is right."""
        ...


@runtime_checkable
class Consistent(Protocol):
    """A dataclass whose values must fit each other, too."""

    def contradictions(self) -> Iterator[str]:
        """Yield what does not fit, as `key is value; expected ...`; the first one is told."""
        ...


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both allowed; of a tuple, each of its numbers."""

    low: float
    high: float

    def expectation(self, value: Any, before: str = "") -> str:
        """Return the range, behind what else may be, unless the number is inside."""
        numbers = value if isinstance(value, tuple) else (value,)
        inside = all(self.low <= number <= self.high for number in numbers)
        return "" if inside else f"{before}{_digits(self.low)} to {_digits(self.high)}"


@dataclass(frozen=True)
class Among:
    """One of a few numbers; of a tuple, each of its numbers."""

    known: tuple[float, ...]

    def expectation(self, value: Any) -> str:
        """Return the few, unless the number is one of them."""
        numbers = value if isinstance(value, tuple) else (value,)
        if all(number in self.known for number in numbers):
            return ""
        return " or ".join(_digits(number) for number in self.known)


@dataclass(frozen=True)
class Matching:
    """A text that a regular expression describes whole; of a tuple, each of its texts.

    Attributes:
        pattern: The expression.
        words: The same for people.
    """

    pattern: str
    words: str

    def expectation(self, value: Any) -> str:
        """Return what the text must look like, unless it does."""
        texts = value if isinstance(value, tuple) else (value,)
        return "" if all(re.fullmatch(self.pattern, text) for text in texts) else self.words


@dataclass(frozen=True)
class Sized:
    """Something of `least` to `most` parts: a list, a mapping, a text."""

    least: int
    most: int

    def expectation(self, value: Any) -> str:
        """Return how many are expected, unless there are as many."""
        inside = self.least <= len(value) <= self.most
        return "" if inside else f"{self.least} to {self.most} of them, not {len(value)}"


NAME = Matching(
    "[a-z][a-z0-9_]{0,62}",
    "a name of lower-case letters, digits and _ that begins with a letter (it becomes part of"
    " topics, columns and file names)",
)
"""What in a file becomes part of a topic, a column or a file name."""

Name = Annotated[str, NAME]


@dataclass(frozen=True)
class Unit:
    """A vector of length 1, within what a person who types five digits may be off."""

    within: float = 1e-3

    def expectation(self, value: Any) -> str:
        """Return the expected length, unless the vector has it."""
        length = math.hypot(*value)
        inside = abs(length - 1.0) <= self.within
        return "" if inside else f"a length of 1, not {length:.4g}: divide each number by that"


def read_strictly(kind: type[Read], value: Any, where: str, named: Named | None = None) -> Read:
    """Return plain data as a dataclass, whose fields may be dataclasses, tuples and dicts of such.

    A whole number may stand for a float, and a name for a member of an enum; nothing else is
    converted. A field without a default must
    be there. Of several dataclasses (`A | B`) the one is read whose field of literals, the first
    that all of them have, holds the value in the file.

    Args:
        kind: The dataclass.
        value: What YAML or JSON gives: a mapping of field names.
        where: Begins the message of an error: a path.
        named: Types whose values stand in the file as a name.

    Raises:
        ValueError: If a key is unknown or missing, a value of the wrong kind or against the rule
            of its field, or values contradict each other.
    """
    return _Reader(named or {}).read(kind, value, where)


class _Reader:
    def __init__(self, named: Named) -> None:
        self._named = named

    def read(self, kind: Any, value: Any, where: str) -> Any:
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if kind is Any:
            return value
        if origin is Annotated:
            return self._ruled(arguments, value, where)
        if kind in self._named:
            return _one_of(self._named[kind], value, where)
        if dataclasses.is_dataclass(kind):
            return self._section(kind, value, where)
        if isinstance(kind, type) and issubclass(kind, Enum):
            return _one_of(dict(kind.__members__), value, where)
        if origin is typing.Literal:
            return _one_of({argument: argument for argument in arguments}, value, where)
        if origin in (typing.Union, types.UnionType):
            return self._union(arguments, value, where)
        if origin is tuple:
            return self._tuple(arguments, value, where)
        if origin is dict:
            if not isinstance(value, dict):
                raise ValueError(f"{where} is {_shown(value)}; expected named sections")
            return {
                self.read(arguments[0], name, f"{where}: key"): self.read(
                    arguments[1], item, f"{where}.{name}"
                )
                for name, item in value.items()
            }
        return _plain(kind, value, where)

    def _ruled(self, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
        """Return a value that its field's rules allow."""
        read = self.read(arguments[0], value, where)
        expected = broken_rule(Annotated[arguments], read)
        if expected:
            raise ValueError(f"{where} is {_shown(value)}; expected {expected}")
        return read

    def _union(self, kinds: tuple[Any, ...], value: Any, where: str) -> Any:
        """Return nothing, or what is of one of several kinds."""
        kinds_of_value = [kind for kind in kinds if kind is not types.NoneType]
        if value is None and len(kinds_of_value) < len(kinds):
            return None
        if len(kinds_of_value) == 1:
            return self.read(kinds_of_value[0], value, where)
        tag, kind_of = _tagged(kinds_of_value)
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {_shown(value)}; expected keys, {tag} among them")
        if tag not in value:
            raise ValueError(f"{where}: key {tag!r} is missing; add it: {_listed(kind_of)}")
        return self.read(_one_of(kind_of, value[tag], f"{where}: {tag}"), value, where)

    def _tuple(self, arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"{where} is {_shown(value)}; expected a list")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) != len(value):
            raise ValueError(f"{where} has {len(value)} numbers; expected {len(kinds)}")
        return tuple(self.read(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value)))

    def _section(self, kind: Any, value: Any, where: str) -> Any:
        """Return a dataclass from a mapping; refuse unknown and missing keys by name."""
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {_shown(value)}; expected keys of {kind.__name__}")
        fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
        for key in value:
            if key not in fields:
                raise ValueError(
                    f"{where}: unknown key {_shown(key)}; expected some of {_listed(fields)}"
                )
        kinds = typing.get_type_hints(kind, include_extras=True)
        given = {key: self.read(kinds[key], item, f"{where}: {key}") for key, item in value.items()}
        for name, item in fields.items():
            required = (
                item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
            )
            if required and name not in given:
                raise ValueError(f"{where}: key {name!r} is missing; add it")
        made = kind(**given)
        if isinstance(made, Consistent):
            for contradiction in made.contradictions():
                raise ValueError(f"{where}: {contradiction}")
        return made


def broken_rule(kind: Any, value: Any) -> str:
    """Return what a value should have been by the rules of its annotation; empty if it may be.

    For values that something else has read and converted already.
    """
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        broken = (broken_rule(argument, value) for argument in arguments)
        return "" if value is None else next(filter(None, broken), "")
    if typing.get_origin(kind) is not Annotated:
        return ""
    rules = (rule for rule in arguments[1:] if hasattr(rule, "expectation"))
    return next(filter(None, (rule.expectation(value) for rule in rules)), "")


def _tagged(kinds: list[Any]) -> tuple[str, dict[Any, Any]]:
    """Return the field of literals that all these dataclasses have, and which is whose."""
    hints = [typing.get_type_hints(kind) for kind in kinds]
    for tag, of_first in hints[0].items():
        if typing.get_origin(of_first) is typing.Literal and all(tag in others for others in hints):
            return tag, {
                value: kind
                for kind, those in zip(kinds, hints)
                for value in typing.get_args(those[tag])
            }
    raise TypeError(f"{kinds} have no field of literals in common by which to tell them apart")


def _one_of(known: Mapping[Any, Any], value: Any, where: str) -> Any:
    # unhashable values, and True for 1, are none of them
    found = [key for key in known if type(key) is type(value) and key == value]
    if not found:
        raise ValueError(f"{where} is {_shown(value)}; expected one of {_listed(known)}")
    return known[found[0]]


def _plain(kind: type, value: Any, where: str) -> Any:
    if kind is float and type(value) is int and abs(value) <= _LARGEST_WHOLE:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"{where} is {_shown(value)}; expected a {kind.__name__}")
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{where} is {value!r}; expected a finite number")
    if kind is int and abs(value) > _LARGEST_WHOLE:
        raise ValueError(f"{where} is {_shown(value)}; expected a number of 64 bits")
    return value


def _digits(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def _listed(names: Mapping[Any, Any]) -> str:
    return ", ".join(map(str, names))


def _shown(value: Any) -> str:
    """Return a value as it stands in a message: never long, whatever the file holds."""
    if isinstance(value, int) and abs(value) > _LARGEST_WHOLE:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, (dict, list)) and len(value) > 20:
        return f"a {type(value).__name__} of {len(value)}"
    return shortened(repr(value), 120)
