"""The published image policy's encoders: converts robomimic's names and its order of features."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from carp_ros.networks.vision import ResNetEncoder, center_crop

Weights = Mapping[str, Tensor]

_NET = re.compile(r"obs_encoder\.obs_nets\.(\w+)\.nets\.")
_CROP_PX = (76, 76)
_DUPLICATES = re.compile(r"(backbone|pool)\.")
_GRID = ("pos_x", "pos_y", "temperature")


def published_features(weights: Weights, observation: Weights) -> Tensor:
    """Return the features (B, F) of one step, in the published order: sorted by key.

    Args:
        weights: Of a policy, with `obs_encoder.obs_nets.<camera>.nets.*`.
        observation: By key; images uint8 (B, 3, H, W), the rest float (B, n).

    Raises:
        ValueError: If a camera's image is missing.
    """
    cameras = {match[1] for name in weights if (match := _NET.match(name))}
    if missing := cameras - set(observation):
        raise ValueError(f"no image of {sorted(missing)}; there are {sorted(observation)}")
    parts = []
    for key in sorted(observation):
        value = observation[key]
        if key in cameras:
            encoder = load_encoder(weights, key)
            value = encoder(center_crop(value.permute(0, 2, 3, 1), _CROP_PX))
        parts.append(value.float())
    return torch.cat(parts, dim=1)


def load_encoder(weights: Weights, camera: str) -> ResNetEncoder:
    """Return one camera's encoder with published weights, all of which must fit.

    Raises:
        ValueError: If a weight is missing, unknown or of the wrong shape.
    """
    prefix = f"obs_encoder.obs_nets.{camera}.nets."
    given = {name[len(prefix) :]: w for name, w in weights.items() if name.startswith(prefix)}
    width = given["3.weight"].shape[0] if "3.weight" in given else 64
    encoder = ResNetEncoder(_CROP_PX, width)
    state: dict[str, Tensor] = {}
    for ours, empty in encoder.state_dict().items():
        theirs = _published_name(ours)
        if theirs not in given:
            raise ValueError(f"the encoder of {camera} has no {prefix}{theirs}; expected it")
        state[ours] = given.pop(theirs)
        if state[ours].shape != empty.shape:
            raise ValueError(
                f"{prefix}{theirs} has shape {tuple(state[ours].shape)}; expected"
                f" {tuple(empty.shape)}"
            )
    if unknown := [n for n in given if not _DUPLICATES.match(n) and not n.endswith(_GRID)]:
        raise ValueError(
            f"the encoder of {camera} has {unknown[:4]}; expected only published weights"
        )
    encoder.load_state_dict(state)
    return encoder.eval()


def _published_name(ours: str) -> str:
    """Return robomimic's name of a weight, without its camera's prefix."""
    if ours.startswith("out."):
        return ours.replace("out.", "3.")
    if ours.startswith("pool.maps."):
        return ours.replace("pool.maps.", "1.nets.")
    name = ours.removeprefix("trunk.")
    number, rest = name.split(".", 1)
    place = int(number)
    if place < 4:
        return f"0.nets.{name}"
    rest = re.sub(r"^conv_", "conv", re.sub(r"^norm_", "bn", rest))
    rest = rest.replace("shortcut.", "downsample.")
    return f"0.nets.{4 + (place - 4) // 2}.{(place - 4) % 2}.{rest}"
