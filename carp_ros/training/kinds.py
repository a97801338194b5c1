"""Looks up a kind, of policy or of tokenizer, in its table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Kind = TypeVar("Kind")


def kind_named(table: Mapping[str, Kind], name: object, what: str, where: str) -> Kind:
    """Look up a kind in a table.

    Args:
        table: Kinds by name.
        name: Its name, of any type, as from a file.
        what: What it is a kind of.
        where: Beginning of an error.

    Raises:
        ValueError: If there is none with that name.
    """
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{where}: {what} is {name!r}; expected {', '.join(table)}")
    return table[name]
