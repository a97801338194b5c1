"""Spoils what YAML and JSON files hold: one key or value, or the text around it."""

from __future__ import annotations

import copy
import json
from typing import Any, Literal

import yaml

from bench.faults.campaign import Chance
from bench.faults.hostile import NAMES, Raw, hostile_value, shown

Kind = Literal["yaml", "json"]
Place = tuple[Any, ...]
"""Keys and indices from the root of a tree to a value."""


def places(tree: Any, before: Place = ()) -> list[Place]:
    """Return the places of all values below the root."""
    found: list[Place] = []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        found.append((*before, key))
        if isinstance(value, (dict, list)):
            found += places(value, (*before, key))
    return found


def at(tree: Any, place: Place) -> Any:
    """Return the value at a place."""
    for key in place:
        tree = tree[key]
    return tree


def spoil_tree(chance: Chance, tree: Any, keep: tuple[str, ...] = ()) -> tuple[Any, str]:
    """Return a tree with one thing otherwise, and what.

    Args:
        chance: Decides.
        tree: Sound; stays as it is.
        keep: Keys at the root that are left alone, with all below them.
    """
    tree = copy.deepcopy(tree)
    all_places = [place for place in places(tree) if place[0] not in keep]
    place = all_places[int(chance.integers(len(all_places)))]
    holder, key = at(tree, place[:-1]), place[-1]
    where = ".".join(map(str, place))
    act = chance.random()
    if act < 0.72:
        value = hostile_value(chance, holder[key])
        was, holder[key] = holder[key], value
        return tree, f"{where}: {shown(was)} becomes {shown(value)}"
    if act < 0.82:
        del holder[key]
        return tree, f"{where} is missing"
    if isinstance(holder, dict) and act < 0.92:
        name = NAMES[int(chance.integers(len(NAMES)))] if chance.random() < 0.7 else f"{key}s"
        items = [(name if k == key else k, v) for k, v in holder.items()]
        holder.clear()
        holder.update(items)
        return tree, f"{where} is called {shown(name)}"
    others = [p for p in all_places if p != place and p[: len(place)] != place]
    other = others[int(chance.integers(len(others)))] if others else place
    if other == place[: len(other)]:
        holder[key] = None
        return tree, f"{where} is null"
    other_holder, other_key = at(tree, other[:-1]), other[-1]
    holder[key], other_holder[other_key] = other_holder[other_key], holder[key]
    return tree, f"{where} and {'.'.join(map(str, other))} are exchanged"


def text_of(tree: Any, kind: Kind) -> str:
    """Return a tree as a file's text, with what is `Raw` in it as it is."""
    raws: list[Raw] = []

    def plain(value: Any) -> Any:
        if isinstance(value, Raw):
            raws.append(value)
            return f"@@{len(raws) - 1}@@"
        if isinstance(value, dict):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value

    content = plain(tree)
    text = (
        yaml.dump(content, sort_keys=False, allow_unicode=True, Dumper=_Dumper)
        if kind == "yaml"
        else json.dumps(content, indent=1)
    )
    for index, raw in enumerate(raws):
        quoted = f'"@@{index}@@"' if kind == "json" else f"'@@{index}@@'"
        text = text.replace(quoted, raw).replace(f"@@{index}@@", raw)
    return text


class _Dumper(yaml.SafeDumper):
    """Writes a value twice rather than an anchor."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def spoil_text(chance: Chance, text: str, kind: Kind) -> tuple[bytes, str]:
    """Return a file's bytes with its text spoilt, and how."""
    lines = text.splitlines()
    middle = int(chance.integers(len(lines)))
    bomb = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "\n".join(
        f"{b}: &{b} [*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a},*{a}]"
        for a, b in zip("abcdefgh", "bcdefghi")
    )
    ways: dict[str, bytes] = {
        "a line twice": "\n".join([*lines[: middle + 1], *lines[middle:]]).encode(),
        "a line missing": "\n".join([*lines[:middle], *lines[middle + 1 :]]).encode(),
        "a line indented": "\n".join(
            [*lines[:middle], "   " + lines[middle], *lines[middle + 1 :]]
        ).encode(),
        "a tab before a line": "\n".join(
            [*lines[:middle], "\t" + lines[middle], *lines[middle + 1 :]]
        ).encode(),
        "cut short": text[: int(chance.integers(len(text)))].encode(),
        "in UTF-16": text.encode("utf-16"),
        "in Latin-1 with an umlaut": text.replace("a", "ä", 1).encode("latin-1"),
        "with a BOM": b"\xef\xbb\xbf" + text.encode(),
        "with a NUL": text.replace("\n", "\x00\n", 1).encode(),
        "with DOS line ends": text.replace("\n", "\r\n").encode(),
        "with form feed": text.replace("\n", "\n\f", 1).encode(),
        "twice": (text + "\n" + text).encode(),
        "two documents": (text + "\n---\n" + text).encode(),
        "an alias bomb": (text + "\n" + bomb + "\n").encode() if kind == "yaml" else bomb.encode(),
        "nested deeply": b"[" * 100_000 if chance.random() < 0.5 else b"{a: " * 20_000,
        "deep mapping": ("\n".join(" " * n + "a:" for n in range(2000))).encode(),
        "a list": b"- 1\n- 2\n" if kind == "yaml" else b"[1, 2]",
        "a number": b"42",
        "null": b"null",
        "nothing": b"",
        "spaces": b" \n \n",
        "zeros": bytes(len(text)),
        "a Python tag": (text + "\nx: !!python/object/apply:os.system ['true']\n").encode(),
        "a merge key": (text + "\n<<: {seed: 1}\n").encode(),
        "a 5000-digit number": (text + "\nx: " + "9" * 5000 + "\n").encode()
        if kind == "yaml"
        else (b'{"total_episodes": ' + b"9" * 5000 + b"}"),
        "a million letters in a line": (text + "\n# " + "x" * 1_000_000).encode(),
        "many keys": (text + "\n" + "".join(f"k{n}: 1\n" for n in range(5000))).encode(),
        "a key twice": (text + "\n" + _line_of_root(lines)).encode(),
    }
    name = list(ways)[int(chance.integers(len(ways)))]
    return ways[name], f"text {name} (line {middle})"


def _line_of_root(lines: list[str]) -> str:
    roots = [line for line in lines if line[:1].isalpha() and line.split(":", 1)[-1].strip()]
    return (roots[-1] if roots else "x: 1") + "\n"
