"""PaliGemma (arXiv:2407.07726) and PaliGemma 2 (arXiv:2412.03555): SigLIP and Gemma or Gemma 2.

All tokens of images and prompt see one another. Every other layer of Gemma 2 attends within a
window of 4096 tokens only; contexts are shorter, and longer ones are refused.
"""

from __future__ import annotations

from torch import Tensor

from carp_ros.networks.pretrained.adapter import PretrainedBackbone


class PaliGemma(PretrainedBackbone):
    """Takes squares of the published side only: 224, 448 or 896 px."""

    VISION = ("model.vision_tower.*",)
    DECODER = "language_model"
    CAUSAL = False

    def first_tokens(self) -> tuple[int, ...]:
        """Return the beginning of a text, which stands between images and prompt."""
        return (1 + self._decoder.config.bos_token_id,)

    def _published_px(self) -> int:
        return self.model.config.vision_config.image_size

    def _require_px(self, image_px: int) -> None:
        if image_px != self._published_px():
            raise ValueError(
                f"image_px is {image_px}; expected {self._published_px()}, which the model's"
                " positions are for: leave it out"
            )

    def _tokens_of(self, images: Tensor) -> Tensor:
        seen = self.model.vision_tower(pixel_values=images, return_dict=True)
        return self.model.multi_modal_projector(seen.last_hidden_state)
