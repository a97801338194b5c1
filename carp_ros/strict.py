"""Plain data into frozen dataclasses, strictly: nothing unknown, nothing missing, no wrong kind.

For files that decide what a robot does. A key that nobody reads is a typing error that would
otherwise be believed, so it is refused, by name.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

Read = TypeVar("Read")

Named = Mapping[type, Mapping[str, Any]]
"""By type, the values that a file refers to by name."""


def load_mapping(path: Path) -> dict[str, Any]:
    """Return the top level of a YAML file.

    Raises:
        ValueError: If it is not YAML, or no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {type(content).__name__}; expected keys and values")
    return content


def read_strictly(kind: type[Read], value: Any, where: str, named: Named | None = None) -> Read:
    """Return plain data as a dataclass, whose fields may be dataclasses, tuples and dicts of such.

    A whole number may stand for a float; nothing else is converted. A field without a default must
    be there.

    Args:
        kind: The dataclass.
        value: What YAML or JSON gives: a mapping of field names.
        where: Begins the message of an error: a path.
        named: Types whose values stand in the file as a name.

    Raises:
        ValueError: If a key is unknown or missing, or a value of the wrong kind.
    """
    return _Reader(named or {}).read(kind, value, where)


class _Reader:
    def __init__(self, named: Named) -> None:
        self._named = named

    def read(self, kind: Any, value: Any, where: str) -> Any:
        if kind is Any:
            return value
        if kind in self._named:
            known = self._named[kind]
            if value not in known:
                raise ValueError(f"{where} is {value!r}; expected one of {', '.join(known)}")
            return known[value]
        if dataclasses.is_dataclass(kind):
            return self._section(kind, value, where)
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin is typing.Literal:
            if value not in arguments:
                known = ", ".join(map(str, arguments))
                raise ValueError(f"{where} is {value!r}; expected one of {known}")
            return value
        if origin in (typing.Union, types.UnionType):
            return None if value is None else self.read(arguments[0], value, where)
        if origin is tuple:
            return self._tuple(arguments, value, where)
        if origin is dict:
            if not isinstance(value, dict):
                raise ValueError(f"{where} is {value!r}; expected named sections")
            return {
                name: self.read(arguments[1], v, f"{where}.{name}") for name, v in value.items()
            }
        return _plain(kind, value, where)

    def _tuple(self, arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"{where} is {value!r}; expected a list")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) != len(value):
            raise ValueError(f"{where} has {len(value)} numbers; expected {len(kinds)}")
        return tuple(self.read(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value)))

    def _section(self, kind: Any, value: Any, where: str) -> Any:
        """Return a dataclass from a mapping; refuse unknown and missing keys by name."""
        if not isinstance(value, dict):
            raise ValueError(f"{where} is {value!r}; expected keys of {kind.__name__}")
        fields = {f.name: f for f in dataclasses.fields(kind)}
        for key in value:
            if key not in fields:
                raise ValueError(
                    f"{where}: unknown key {key!r}; expected some of {', '.join(fields)}"
                )
        kinds = typing.get_type_hints(kind)
        given = {key: self.read(kinds[key], item, f"{where}: {key}") for key, item in value.items()}
        for name, item in fields.items():
            required = item.default is dataclasses.MISSING
            if required and name not in given:
                raise ValueError(f"{where}: key {name!r} is missing; add it")
        return kind(**given)


def _plain(kind: type, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"{where} is {value!r}; expected a {kind.__name__}")
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{where} is {value!r}; expected a finite number")
    return value
