"""Strict JSON: no NaN, no duplicate keys, limited nesting.

Python's own parser accepts `NaN` and `Infinity`, and silently keeps the last of two equal keys.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from carp_ros.files.given_file import MOST_TEXT_BYTES, given_text
from carp_ros.refusal import in_words, shortened

_DEEPEST = 50


def mapping_from_json(text: str, where: str) -> dict[str, Any]:
    """Parse a JSON text whose top level is a mapping.

    Raises:
        ValueError: If it is not JSON or not a mapping, a key is duplicated, a number is not finite,
            or it is nested more than 50 levels deep. The message begins with `where`.
    """
    try:
        content = json.loads(text, object_pairs_hook=_mapping, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is not JSON: line {error.lineno}: {error.msg}") from error
    except Exception as error:  # nested too deep, numbers with too many digits
        raise ValueError(f"{where} is not JSON: {in_words(error)}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{where} holds {type(content).__name__}; expected keys and values")
    if _is_deeper(content, _DEEPEST):
        raise ValueError(f"{where} has more than {_DEEPEST} levels of lists and sections")
    return content


def load_json(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> dict[str, Any]:
    """Read a JSON file whose top level is a mapping.

    Raises:
        ValueError: If it is missing, too large or not UTF-8, or as `mapping_from_json`.
    """
    return mapping_from_json(given_text(path, most_bytes), str(path))


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name in counts if counts[name] > 1)
        raise ValueError(f"the key {shortened(twice, 80)!r} stands twice; remove one")
    return found


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"the number {text}; expected finite ones")


def _is_deeper(content: Any, levels: int) -> bool:
    if not isinstance(content, (dict, list)):
        return False
    if levels == 0:
        return True
    items = content.values() if isinstance(content, dict) else content
    return any(_is_deeper(item, levels - 1) for item in items)
