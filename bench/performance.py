"""Writes the main README's table of latencies: `python -m bench.performance`.

From what `carp bench --what policy --peers --report bench/results/policies.json` measured.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.markdown import table, write_between_marks

_HERE = Path(__file__).parent
_RESULTS = _HERE / "results" / "policies.json"
_README = _HERE.parent / "README.md"

_WORDS = {
    "carp_cup_sim": "**ours**: `carp_cup_sim`, 2 cameras",
    "paper-image": "**ours**: the paper's image preset, 2 cameras",
    "paper-image-int8": "the same, in 8 bits",
    "paper-state": "**ours**: the paper's state preset",
}


def text_of(content: dict[str, Any]) -> str:
    """Return a report of `carp bench --what policy --peers` as Markdown."""
    rows: list[dict[str, Any]] = [row for row in content["policies"] if _is_shown(row)]
    lines = table(
        ["policy", "weights", "a chunk, p50", "p99", "chunks a second"],
        [
            [
                str(_WORDS.get(row["policy"], row["policy"])),
                "" if row["parameters"] is None else f"{1e-6 * row['parameters']:.1f} M",
                *(f"{row['stages_ms']['total'][name]:.1f} ms" for name in ("p50", "p99")),
                f"{1e3 / row['stages_ms']['total']['p50']:.3g}",
            ]
            for row in rows
        ],
    )
    machine = content["machine"]
    origin = (
        f"Batch 1, one thread, in turn in one run; {machine['processor']}, {machine['cores']}"
        f" cores, {content['date']}, load {content['load']:.1f}. Ours include the resizing of two"
        " images of 640 x 480; those of others begin at the network's size. Weights of presets and"
        " of others are random; the published CARP has lerobot's ResNet-18 in place of robomimic's."
        f" `{' '.join(content['command'])}`"
    )
    return "\n".join([*lines, "", origin])


def _is_shown(row: dict[str, Any]) -> bool:
    of_ours = row["kind"] == "bundle"
    return row["threads"] == 1 and (not of_ours or row["policy"] in _WORDS)


def main() -> int:
    """Write the table; return the exit code."""
    try:
        content = json.loads(_RESULTS.read_text(encoding="utf-8"))
        write_between_marks(_README, "performance", text_of(content))
    except (OSError, ValueError) as error:
        print(f"performance: {error}", file=sys.stderr)
        return 1
    print(text_of(content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
