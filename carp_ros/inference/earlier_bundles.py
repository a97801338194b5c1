"""Converts manifests with earlier keys to the current ones."""

from __future__ import annotations

from typing import Any

_EARLIER, _CURRENT = "followed", "execution_horizon"


def upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest with the current keys of format 3; current ones are unchanged.

    Formats 1 and 2 had one kind of policy, with its scales in the head, and one layout. The graphs
    of format 2 run unchanged. Those of format 1 no longer run, so it keeps its number and is
    rejected when the bundle is to be run. The first bundles of format 3 and all earlier ones name
    the execution horizon `followed`.

    Args:
        content: Of `policy.yaml`, not yet checked.
    """
    if _EARLIER in content and _CURRENT not in content:
        content = {_CURRENT if key == _EARLIER else key: value for key, value in content.items()}
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
