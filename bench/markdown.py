"""Tables of READMEs that are written from figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from carp_ros.files.whole_file import whole_file


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [_line(heads), _line(["---"] * len(heads)), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_between_marks(readme: Path, name: str, text: str) -> None:
    """Put a text between a README's two marks of a name.

    Raises:
        ValueError: If it lacks them.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begins, rest = readme.read_text(encoding="utf-8").partition(begin)
    _, ends, after = rest.partition(end)
    if not begins or not ends:
        raise ValueError(f"{readme} lacks {begin} or {end}; put the marks back")
    with whole_file(readme) as draft:
        draft.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
