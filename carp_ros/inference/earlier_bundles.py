"""Converts manifests of earlier formats to the current one."""

from __future__ import annotations

from typing import Any


def upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest of format 1 or 2 with the keys of format 3; others unchanged.

    These formats had one kind of policy, with its scales in the head, and one layout. The graphs of
    format 2 run unchanged. Those of format 1 no longer run, so it keeps its number and is rejected
    when the bundle is to be run.

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
