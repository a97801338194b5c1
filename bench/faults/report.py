"""One table of all campaigns, in the README."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import markdown
from bench.faults.campaign import VERDICTS

KINDS = (
    "rig",
    "bundle",
    "bag",
    "dataset",
    "checkpoint",
    "message",
    "service",
    "lifecycle",
    "kill",
)

_HEADS = (
    "input",
    "tried",
    "refused in one line",
    "refused unclearly",
    "harmless",
    "dangerous",
    "traceback",
    "hang > 5 s",
    "memory > 1 GB",
    "seeds",
    "of",
)


def write_table(results: Path, readme: Path) -> str:
    """Write the table of all campaigns that have figures, and return it.

    Raises:
        ValueError: If there are none.
    """
    found = [results / f"{kind}.json" for kind in KINDS]
    contents = {path.stem: json.loads(path.read_text()) for path in found if path.is_file()}
    if not contents:
        raise ValueError(f"no figures in {results}; run a campaign: python -m bench.faults rig")
    rows = [_row(kind, content) for kind, content in contents.items()]
    rows.append(["all", *_counts(list(contents.values())), "", ""])
    text = "\n".join(markdown.table(_HEADS, rows))
    markdown.write_between_marks(readme, "results", text)
    return text


def _row(kind: str, content: dict[str, Any]) -> list[str]:
    first, end = content["seeds"]
    return [kind, *_counts([content]), f"{first} to {end - 1}", content["date"]]


def _counts(contents: list[dict[str, Any]]) -> list[str]:
    return [str(sum(content[name] for content in contents)) for name in ("tried", *VERDICTS)]
