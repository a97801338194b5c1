"""Renames keys and weights that older training folders and bundles called differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

_ENCODER, _ENCODERS = "image_encoder", "image_encoders."
_EARLIER, _EARLIER_PREFIX = "eyes", "eyes."


def present_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a training's configuration with the current names."""
    recipe = config.get("recipe")
    if not isinstance(recipe, dict) or _EARLIER not in recipe:
        return dict(config)
    renamed = {_ENCODER if key == _EARLIER else key: value for key, value in recipe.items()}
    return {**config, "recipe": renamed}


def present_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a network's weights with the current names."""
    return {
        _ENCODERS + name.removeprefix(_EARLIER_PREFIX)
        if name.startswith(_EARLIER_PREFIX)
        else name: weight
        for name, weight in weights.items()
    }
