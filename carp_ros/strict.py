"""Converts plain data to frozen dataclasses, strictly: rejects unknown, missing or invalid values.

For files that decide what a robot does. An unknown key is probably a typing error that would
otherwise go unnoticed, so it is refused, by name. The range of a number is given with its field:

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
"""Values that a file refers to by name, for each type."""

_LARGEST_WHOLE = 2**63 - 1


class Rule(Protocol):
    """A rule for values of the right type; part of a field's `Annotated`."""

    def expectation(self, value: Any) -> str:
        """Return what was expected instead of `value`; empty if it is valid."""
        ...


@runtime_checkable
class Consistent(Protocol):
    """A dataclass whose values must also be consistent with each other."""

    def contradictions(self) -> Iterator[str]:
        """Yield contradictions as `key is value; expected ...`; only the first is reported."""
        ...


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both included; for a tuple, each of its numbers."""

    low: float
    high: float

    def expectation(self, value: Any, before: str = "") -> str:
        """Return `before` followed by the range; empty if the number is in it."""
        numbers = value if isinstance(value, tuple) else (value,)
        inside = all(self.low <= number <= self.high for number in numbers)
        return "" if inside else f"{before}{_digits(self.low)} to {_digits(self.high)}"


@dataclass(frozen=True)
class Matching:
    """A text that matches a regular expression as a whole; for a tuple, each of its texts.

    Attributes:
        pattern: The regular expression.
        words: Its description for people.
    """

    pattern: str
    words: str

    def expectation(self, value: Any) -> str:
        """Return what the text must look like; empty if it matches."""
        texts = value if isinstance(value, tuple) else (value,)
        return "" if all(re.fullmatch(self.pattern, text) for text in texts) else self.words


@dataclass(frozen=True)
class Sized:
    """A list, mapping or text with a length of `least` to `most`."""

    least: int
    most: int

    def expectation(self, value: Any) -> str:
        """Return the expected length; empty if the value has it."""
        inside = self.least <= len(value) <= self.most
        return "" if inside else f"{self.least} to {self.most} of them, not {len(value)}"


NAME = Matching(
    "[a-z][a-z0-9_]{0,62}",
    "a name of lower-case letters, digits and _ that begins with a letter (it becomes part of"
    " topics, columns and file names)",
)
"""Rule for names in a file that become part of a topic, a column or a file name."""

Name = Annotated[str, NAME]


@dataclass(frozen=True)
class Unit:
    """A vector of length 1, within the error of numbers typed with five digits."""

    within: float = 1e-3

    def expectation(self, value: Any) -> str:
        """Return the expected length; empty if the vector has it."""
        length = math.hypot(*value)
        inside = abs(length - 1.0) <= self.within
        return "" if inside else f"a length of 1, not {length:.4g}: divide each number by that"


@dataclass(frozen=True)
class Otherwise:
    """The dataclass of a union that a mapping is read as if it names none.

    Attributes:
        name: What the mapping would name.
    """

    name: str


def read_strictly(kind: type[Read], value: Any, where: str, named: Named | None = None) -> Read:
    """Convert plain data to a dataclass; fields may be dataclasses, or tuples or dicts of them.

    Integers are accepted for floats, and names for members of an enum; nothing else is converted.
    Fields without a default are required. For a union of dataclasses (`A | B`), the first literal
    field that all of them have selects the one to read.

    Args:
        kind: The dataclass.
        value: A mapping of field names, from YAML or JSON.
        where: Start of error texts: a path.
        named: Types whose values the file gives by name.

    Raises:
        ValueError: If a key is unknown or missing, a value has the wrong type or violates its
            field's rule, or values contradict each other.
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
        """Read a value and check it against its field's rules."""
        for rule in arguments[1:]:
            if isinstance(rule, Otherwise) and isinstance(value, dict):
                tag, _ = _tagged(list(typing.get_args(arguments[0])))
                value = {tag: rule.name, **value}
        read = self.read(arguments[0], value, where)
        expected = broken_rule(Annotated[arguments], read)
        if expected:
            raise ValueError(f"{where} is {_shown(value)}; expected {expected}")
        return read

    def _union(self, kinds: tuple[Any, ...], value: Any, where: str) -> Any:
        """Read None or a value of one of several types."""
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
        """Read a dataclass from a mapping; refuse unknown and missing keys by name."""
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
    """Return what an annotation's rules expect instead of a value; empty if it is valid.

    For values that have already been read and converted by other means.
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
    """Return the literal field common to these dataclasses, and the dataclass for each value."""
    hints = [typing.get_type_hints(kind) for kind in kinds]
    for tag, of_first in hints[0].items():
        if typing.get_origin(of_first) is typing.Literal and all(tag in others for others in hints):
            return tag, {
                value: kind
                for kind, those in zip(kinds, hints)
                for value in typing.get_args(those[tag])
            }
    raise TypeError(f"{kinds} have no literal field in common to distinguish them by")


def _one_of(known: Mapping[Any, Any], value: Any, where: str) -> Any:
    # compared so that unhashable values, and True for 1, match nothing
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
    """Return a value as text for an error, of limited length whatever the file contains."""
    if isinstance(value, int) and abs(value) > _LARGEST_WHOLE:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, (dict, list)) and len(value) > 20:
        return f"a {type(value).__name__} of {len(value)}"
    return shortened(repr(value), 120)
