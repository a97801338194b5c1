"""Qwen2.5-VL (arXiv:2502.13923): a vision transformer with windows, and Qwen2.5.

The model was trained with positions of three axes, time, row and column. Here every token has one
position, which stands for all three: exactly what the model does with text, and with such positions
its rotary embedding is the usual one, so that the expert's serves. Tokens of an image, whose rows
and columns the model knew by their positions, are then known by their order; its vision tower still
has rows and columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from carp_ros.networks.pretrained.adapter import PretrainedBackbone, require_multiple

_PUBLISHED_PX = 224
"""The model takes any; this makes 64 tokens an image."""
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


class Qwen25Vl(PretrainedBackbone):
    """Takes squares of any multiple of 28 px."""

    VISION = ("model.visual.patch_embed.*", "model.visual.blocks.*")
    DECODER = "language_model"
    CAUSAL = True

    def _published_px(self) -> int:
        return _PUBLISHED_PX

    def _require_px(self, image_px: int) -> None:
        vision = self.model.config.vision_config
        require_multiple(image_px, vision.patch_size * vision.spatial_merge_size)

    def _tokens_of(self, images: Tensor) -> Tensor:
        vision = self.model.config.vision_config
        mean, std = (images.new_tensor(values)[:, None, None] for values in (_MEAN, _STD))
        pixels = ((images + 1.0) / 2.0 - mean) / std
        side = images.shape[-1] // vision.patch_size
        grid = torch.tensor([[1, side, side]] * len(images), device=images.device)
        patches = _patches(
            pixels, vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size
        )
        merged = self.model.visual(patches, grid_thw=grid, return_dict=True).pooler_output
        return merged.unflatten(0, (len(images), -1))


def _patches(pixels: Tensor, size: int, merged: int, frames: int) -> Tensor:
    """Return the patches of images (N, 3, H, H) as rows, all of one token in a run.

    Args:
        pixels: Of the images.
        size: Side of a patch.
        merged: Side, in patches, of what becomes one token.
        frames: Of a video that a patch spans; a still image is its own successor.
    """
    tokens = pixels.shape[-1] // (size * merged)
    cut = pixels.reshape(-1, 3, tokens, merged, size, tokens, merged, size)
    rows = cut.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(-1, 3, 1, size, size)
    return rows.expand(-1, -1, frames, -1, -1).reshape(len(rows), -1)
