"""SmolVLM2 (arXiv:2504.05299): SigLIP, four by four patches to a token, and SmolLM2."""

from __future__ import annotations

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
        # Not `get_image_features`, which leaves out images that are grey all over.
        seen = self.model.vision_model(pixel_values=images, return_dict=True)
        return self.model.connector(seen.last_hidden_state)
