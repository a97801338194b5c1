"""Valid ranges of command-line options, declared as types.

Ranges of values in files are declared in the files' dataclasses.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Annotated, Any

from carp_ros.strict import Between, Matching, broken_rule

Count = Annotated[int, Between(1, 1_000_000)]
Seed = Annotated[int, Between(0, 2**31 - 1)]
Seconds = Annotated[float, Between(0.1, 86_400.0)]
Workers = Annotated[int, Between(0, 1024)]
"""Number of processes; 0 takes one per core."""

Text = Annotated[str, Matching(r"[^\x00-\x1f\x7f]{0,300}", "one line of at most 300 characters")]


@dataclass(frozen=True)
class ZeroOr:
    """A number from `low` to `high`, or 0 for a default defined elsewhere."""

    low: float
    high: float

    def expectation(self, value: Any) -> str:
        """Return the expected range; empty if the number is within it or 0."""
        return "" if value == 0 else Between(self.low, self.high).expectation(value, "0, or ")


def refusal_of(command: Any) -> str:
    """Return the first invalid option, its value and what was expected; empty if all are valid."""
    hints = typing.get_type_hints(type(command), include_extras=True)
    for option in dataclasses.fields(command):
        value = getattr(command, option.name)
        expected = broken_rule(hints[option.name], value)
        if expected:
            return f"--{option.name.replace('_', '-')} is {value!r:.80}; expected {expected}"
    return ""
