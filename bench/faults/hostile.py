"""Values that files and messages may hold and should not."""

from __future__ import annotations

from typing import Any

from bench.faults.campaign import Chance


class Raw(str):
    """Text that goes into a file as it is, neither quoted nor escaped."""


_HUGE = "9" * 5000

NAMES = (
    "",
    " ",
    "..",
    "../x",
    "/etc",
    "a b",
    "a/b",
    "a\nb",
    "a\x00b",
    "-rf",
    "~",
    "$(id)",
    "%s{0}",
    "\u202ecam",
    "Übung",
    "机器人",
    "🤖",
    "con\u0301",
    "x" * 300,
    "x" * 10_000,
    "None",
    "null",
    "1",
    "CUP",
    "__class__",
)
"""Texts that become paths, topics, columns or words."""


def hostile_number(chance: Chance, value: float) -> Any:
    """Return something else where a file has a number; half the time, another number."""
    near = (
        -value,
        value * 10,
        value * 1000,
        value / 1000,
        value + 1,
        value - 1,
        value + 0.5,
        float(chance.normal(value, abs(value) + 1)),
        0,
        -0.0,
        -1,
        1,
        2,
    )
    far = (
        1e-300,
        1e308,
        -1e308,
        float("nan"),
        float("inf"),
        float("-inf"),
        2**31,
        2**63,
        2**64,
        -(2**63) - 1,
    )
    strange = (
        Raw("1e3"),
        Raw("-1E+2"),
        Raw("0x10"),
        Raw("1_000"),
        Raw("12:30"),
        Raw("0o17"),
        Raw(_HUGE),
        Raw("!!float nonsense"),
        Raw("!!python/object/apply:os.getcwd []"),
        True,
        None,
        str(value),
        "",
        "nan",
        [value],
        [],
        {},
        {"value": value},
    )
    return _pick(chance, (near, near, far, strange))


def hostile_text(chance: Chance, value: str) -> Any:
    """Return something else where a file has a text."""
    odd = (
        value.upper(),
        value[:-1],
        value + " ",
        " " + value,
        value + "x",
        value[::-1],
        value + "\n",
        value + ")",
    )
    strange = (0, 1.5, None, True, [], [value], {}, Raw("yes"), Raw("2026-01-01"), Raw("*nobody"))
    return _pick(chance, (NAMES, odd, strange))


def hostile_value(chance: Chance, value: Any) -> Any:
    """Return something else for any value of a file."""
    if isinstance(value, bool):
        return _pick(chance, ((not value, 0, 1, "true", None, [], "no", 1.0, "maybe"),))
    if isinstance(value, (int, float)):
        return hostile_number(chance, value)
    if isinstance(value, str):
        return hostile_text(chance, value)
    if isinstance(value, list):
        return _hostile_list(chance, value)
    if isinstance(value, dict):
        return _pick(chance, (({}, None, [], "", 0, [value], {"x": value}, list(value)),))
    return _pick(chance, ((0, "", [], {}, "x", True, -1.5),))


def _hostile_list(chance: Chance, value: list[Any]) -> Any:
    simple = ([], None, {}, "", 0, value[:-1], value + value[-1:], value[::-1], [value], value * 50)
    if value and chance.random() < 0.6:
        place = int(chance.integers(len(value)))
        return [*value[:place], hostile_value(chance, value[place]), *value[place + 1 :]]
    return _pick(chance, (simple,))


def _pick(chance: Chance, groups: Any) -> Any:
    group = groups[int(chance.integers(len(groups)))]
    return group[int(chance.integers(len(group)))]


def shown(value: Any) -> str:
    """Return a value for people, not longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # too many digits
        text = "an integer of very many digits"
    return text if len(text) < 120 else f"{text[:60]} ... ({len(text)} letters)"
