"""YAML without surprises: `1e3` is a number, duplicate keys are errors, expansion is limited.

YAML 1.1, which PyYAML implements, reads `1e3` as text, `010` as eight and `1:30` as ninety; the
last of two equal keys wins silently; and nine lines of references expand to a billion values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from carp_ros.files.given_file import MOST_TEXT_BYTES, given_text
from carp_ros.refusal import in_words

_FLOAT = re.compile(
    r"[-+]?(\d+\.\d*|\.\d+|\d+)([eE][-+]?\d+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
)
_INT = re.compile(r"[-+]?\d+$")
_FLOAT_TAG, _INT_TAG = "tag:yaml.org,2002:float", "tag:yaml.org,2002:int"
_MOST_DIGITS = 40
_DEEPEST = 50
_MOST_VALUES = 100_000


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 10 times faster, if available
_Texts: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Loader(_Base):
    """A safe loader with its own rules for numbers and duplicate keys."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Construct a mapping; reject duplicate keys."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise _at(key.start_mark, f"the key {key.value!r} stands twice; remove one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _whole_number(loader: Any, node: Any) -> int:
    digits = loader.construct_scalar(node)
    if len(digits) > _MOST_DIGITS:
        raise _at(
            node.start_mark,
            f"a whole number of {len(digits)} digits; expected {_MOST_DIGITS} at most",
        )
    return int(digits)


def _number(loader: Any, node: Any) -> float:
    text = loader.construct_scalar(node).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_FLOAT_TAG, _INT_TAG)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT_TAG, _INT, list("-+0123456789"))
_Loader.add_implicit_resolver(_FLOAT_TAG, _FLOAT, list("-+.0123456789"))
_Loader.add_constructor(_INT_TAG, _whole_number)
_Loader.add_constructor(_FLOAT_TAG, _number)


class _Dumper(yaml.SafeDumper):
    """A safe dumper that also quotes the texts that `_Loader` would take for numbers."""


_Dumper.add_implicit_resolver(_INT_TAG, _INT, list("-+0123456789"))
_Dumper.add_implicit_resolver(_FLOAT_TAG, _FLOAT, list("-+.0123456789"))


def _at(mark: yaml.Mark, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _check_shape(text: str) -> None:
    """Reject text that is nested too deep or expands too far, before constructing any values."""
    sizes: dict[str, int] = {}
    opened: list[tuple[str | None, int]] = [(None, 0)]  # anchor and size so far, outside first
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, 0))
            if len(opened) > _DEEPEST:
                raise _at(event.start_mark, f"more than {_DEEPEST} levels of lists and sections")
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise _at(event.start_mark, f"*{event.anchor} refers to itself or to nothing")
            size = sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
            if event.anchor:
                sizes[event.anchor] = size
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = opened.pop()
            if anchor:
                sizes[anchor] = size
        else:
            continue
        outer, before = opened[-1]
        opened[-1] = outer, before + size
        if before + size > _MOST_VALUES:
            raise _at(event.start_mark, f"more than {_MOST_VALUES} values, references followed")


def mapping_from_yaml(text: str, where: str) -> dict[str, Any]:
    """Parse a YAML text whose top level is a mapping with string keys.

    Raises:
        ValueError: If it is not YAML or not a mapping, a key is duplicated, or it is nested too
            deep or expands too far. The message begins with `where` and names the line.
    """
    return _mapping(text, where, _Loader)


def yaml_from_mapping(content: Mapping[str, Any]) -> str:
    """Return plain data as YAML that `mapping_from_yaml` reads as it was, in the same order.

    PyYAML leaves a text such as the serial number `12E4` without quotes: in YAML 1.1 it is none of
    its numbers.
    """
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def texts_from_yaml(text: str, where: str) -> dict[str, Any]:
    """Parse like `mapping_from_yaml`, but keep every value as a string.

    Raises:
        ValueError: As `mapping_from_yaml`, except for duplicate keys.
    """
    return _mapping(text, where, _Texts)


def _mapping(text: str, where: str, loader: Any) -> dict[str, Any]:
    try:
        _check_shape(text)
        content = yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{where} is not YAML: {line}{error.problem}") from error
    except Exception as error:  # raised by the parser, for example on surrogates or month 13
        raise ValueError(f"{where} is not YAML: {in_words(error)}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{where} holds {type(content).__name__}; expected keys and values")
    return content


def load_mapping(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        ValueError: If it is missing, too large or not UTF-8, or as `mapping_from_yaml`.
    """
    return mapping_from_yaml(given_text(path, most_bytes), str(path))
