"""Manifests of earlier formats, as they would be written today: their graphs run unchanged."""

from __future__ import annotations

from typing import Any


def upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest of format 1 or 2 with the keys of format 3; any other as it is.

    These formats knew one kind of policy, whose scales stood in the head, and one layout of
    numbers. Graphs of format 2 are those of format 3; those of format 1 run no more, so that its
    number stays.

    Args:
        content: Of `policy.yaml`, not yet checked.
    """
    if content.get("format") not in (1, 2):
        return content
    upgrade = dict(content)
    upgrade["format"] = 3 if content["format"] == 2 else 1
    upgrade["carp"] = {"scales": upgrade.pop("scales", None)}
    upgrade["observation"] = {}
    for name in ("state", "action"):
        layout = upgrade.get(name)
        if isinstance(layout, dict) and layout.get("frame") == "base":
            upgrade[name] = {"kind": "tool"} | {k: v for k, v in layout.items() if k != "frame"}
    return upgrade
