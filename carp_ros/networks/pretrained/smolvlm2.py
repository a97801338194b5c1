"""SmolVLM2 (arXiv:2504.05299): SigLIP, four by four patches to a token, and SmolLM2."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from carp_ros.networks.pretrained.adapter import PretrainedBackbone, require_multiple


class SmolVlm2(PretrainedBackbone):
    """Takes squares of any multiple of patches up to the published side: 512 or 384 px.

    With 256 px instead of 512, an image has 16 tokens instead of 64.
    """

    VISION = ("model.vision_model.*",)
    DECODER = "text_model"
    CAUSAL = True

    def _published_px(self) -> int:
        return self.model.config.vision_config.image_size

    def _require_px(self, image_px: int) -> None:
        config, published = self.model.config, self._published_px()
        if image_px != published:  # 384 of the largest, of whose last pixels no patch is made
            step = config.vision_config.patch_size * config.scale_factor
            require_multiple(image_px, step, published)

    def _tokens_of(self, images: Tensor) -> Tensor:
        # Not `get_image_features`, which leaves out images that are grey all over; and with places
        # that are constant, which exported graphs need.
        vision = self.model.vision_model
        own = vision.embeddings
        places = _places(own.num_patches_per_side, self.image_px // own.patch_size)
        patches = own.patch_embedding(images).flatten(2).transpose(1, 2)
        patches = patches + own.position_embedding(places.to(patches.device))
        seen = vision.encoder(inputs_embeds=patches, attention_mask=None)
        return self.model.connector(vision.post_layernorm(seen.last_hidden_state))


@functools.cache
def _places(published: int, own: int) -> Tensor:
    """Return which of the published square's patches each patch of a square stands for, (n,).

    Args:
        published: Patches along a side.
        own: Patches along a side, at most as many.
    """
    ends = torch.arange(1 / published, 1.0, 1 / published, device="cpu")
    shares = torch.arange(own, dtype=torch.float32, device="cpu") * (1.0 / own)
    side = torch.bucketize(shares.clamp(max=1.0 - 1e-6), ends, right=True)
    return (published * side[:, None] + side).flatten()
