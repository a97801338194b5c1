"""The backbone of a FASTer policy: the tiny one, or that of a published model.

A published model comes trained, so that its policy is trained in stages (arXiv:2512.04952): first
the action expert alone, then, from there, also the upper half of the backbone. Where even that does
not fit a GPU, narrow ways around its layers are trained instead (LoRA).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from carp_ros.inference.prompt import BINS, Vocabulary
from carp_ros.inference.words import Words, words_of
from carp_ros.networks.backbone import Backbone
from carp_ros.networks.freezing import BACKBONE, freeze, lower_half
from carp_ros.networks.lora import add_lora
from carp_ros.networks.tiny_backbone import TinyBackbone, TinyBackboneConfig
from carp_ros.training.faster_recipe import FasterRecipe, PublishedBackbone

_WIDENED = ("self_attn.?_proj", "mlp.*_proj")
"""Layers of a published decoder that have ways around them."""


def vocabulary(instructions: Sequence[str]) -> Words:
    """Return the vocabulary of a tiny backbone that is trained on some instructions."""
    return words_of((*instructions, "Task:, State:;\nAction: "), BINS)


def make_backbone(
    recipe: FasterRecipe, cameras: int, instructions: Sequence[str], *, weights: bool
) -> tuple[Backbone, Vocabulary]:
    """Return a policy's backbone and its vocabulary.

    Args:
        recipe: Its sizes, or which published model it is.
        cameras: How many.
        instructions: In training.
        weights: Whether to read the published weights; else they are random, to be replaced by
            those of a training.

    Raises:
        ValueError: If the published model's folder is not as it must be, or the software that reads
            it is not installed.
    """
    if recipe.published is not None:
        return _published(recipe.published, weights=weights)
    words = vocabulary(instructions)
    config = TinyBackboneConfig(
        cameras,
        recipe.image_encoder.crop_px,
        len(words),
        image_tokens=recipe.image_tokens,
        looks=recipe.looks,
        width=recipe.width,
        layers=recipe.layers,
        heads=recipe.heads,
        kv_heads=recipe.kv_heads,
        hidden=recipe.hidden,
    )
    return TinyBackbone(config), words


def freeze_backbone(network: nn.Module, backbone: Backbone, published: PublishedBackbone) -> None:
    """Freeze what a recipe wants frozen of a policy's published backbone, `vla.backbone`."""
    from carp_ros.networks.pretrained.adapter import PretrainedBackbone

    assert isinstance(backbone, PretrainedBackbone)
    patterns: tuple[str, ...] = ()
    if published.freeze == "backbone":
        patterns = BACKBONE
    elif published.freeze == "lower-half":
        patterns = lower_half(backbone, backbone.shape.layers)
    if not published.lora_rank:  # else all but the ways is frozen already
        freeze(network, (f"vla.{pattern}" for pattern in patterns))


def _published(published: PublishedBackbone, *, weights: bool) -> tuple[Backbone, Vocabulary]:
    folder, layers = Path(published.folder).expanduser(), published.layers or None
    try:
        from carp_ros.networks.pretrained.load import described_backbone, load_backbone

        make = load_backbone if weights else described_backbone
        backbone = make(folder, layers=layers, image_px=published.image_px or None)
    except ImportError as error:
        raise ValueError(
            f"the backbone is {folder}, but {error.name} is not installed; expected what reads"
            " published models: pip install 'carp_ros[vlm]'"
        ) from error
    if published.lora_rank:
        decoder = f"model.{backbone.DECODER}.layers.*"
        add_lora(backbone, (f"{decoder}.{part}" for part in _WIDENED), rank=published.lora_rank)
    assert backbone.words is not None
    return backbone, backbone.words
