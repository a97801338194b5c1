"""What a campaign is: sound input, ways to spoil it, the door it goes through, and a judge.

The judge has its own opinion of what may not happen. It asks nothing of the code under test but
what came of the input.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

Verdict = Literal["refused", "unclear", "harmless", "dangerous", "traceback", "hang", "memory"]
"""What came of an input.

refused: in one line that names the input. unclear: refused, but in several lines or without a name.
harmless: taken, and the judge has nothing against it. dangerous: taken, and the judge has.
traceback: an error that nobody expected, or the process died. hang: no end within the time.
memory: more than allowed, or all there is.
"""

VERDICTS: tuple[Verdict, ...] = (
    "refused",
    "unclear",
    "harmless",
    "dangerous",
    "traceback",
    "hang",
    "memory",
)
GOOD: tuple[Verdict, ...] = ("refused", "harmless")

Chance = np.random.Generator
"""Decides all that is random in a case; made of the case's seed alone."""


class Refused(Exception):
    """A door's refusal that it reports in another way than by raising."""


@dataclass(frozen=True)
class Spoilt:
    """What a mutation did.

    Attributes:
        what: In words, with the value, for whoever repeats the case.
        facts: What the judge must know of it, by name.
    """

    what: str
    facts: dict[str, Any] = field(default_factory=dict)


Mutation = Callable[[Chance, Path], Spoilt]
"""Spoils a copy of the sound input in a folder. Its function's name is the mutation's."""


@dataclass(frozen=True)
class Case:
    """One spoilt input and what came of it.

    Attributes:
        seed: Makes the same case again.
        mutation: Its name.
        what: What was done to the input.
        verdict: What came of it.
        detail: The refusal, what the judge has against it, or the traceback's last lines.
        seconds: How long it took.
        memory_mb: At most, beyond what the process had before.
    """

    seed: int
    mutation: str
    what: str
    verdict: Verdict
    detail: str
    seconds: float
    memory_mb: float


class Campaign(Protocol):
    """One kind of input.

    Attributes:
        name: Of the kind.
    """

    name: str

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Ways to spoil it; they take turns by the seed."""
        ...

    def warm(self) -> None:
        """Import what cases need, so that not every case does."""
        ...

    def prepare(self, folder: Path) -> None:
        """Write the sound input, and keep what the judge must know of it, once."""
        ...

    def copy(self, sound: Path, folder: Path) -> None:
        """Put a copy of the sound input, to be spoilt, into an empty folder."""
        ...

    def names(self, folder: Path) -> Sequence[str]:
        """Return what a refusal may call the input by: one of these must be in it."""
        ...

    def enter(self, folder: Path) -> Any:
        """Take the input as users do, and return what was made of it.

        Raises:
            CarpError, ValueError, Refused: If it is refused; anything else is a fault.
        """
        ...

    def dangers(self, taken: Any, spoilt: Spoilt, folder: Path) -> Sequence[str]:
        """Return what is wrong with input that was taken, or nothing.

        Raises:
            Refused: If what was made of it says that it was not taken.
        """
        ...


def chance_of(kind: str, seed: int) -> Chance:
    """Return what decides a case."""
    return np.random.default_rng([zlib.crc32(kind.encode()), seed])


def mutation_of(mutations: Sequence[Mutation], seed: int) -> Mutation:
    """Return the mutation whose turn it is."""
    return mutations[seed % len(mutations)]
