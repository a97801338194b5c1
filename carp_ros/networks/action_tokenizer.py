"""CARP's tokenizer with the scaling of its actions: what a policy's tokens mean in SI units."""

from __future__ import annotations

from torch import Tensor, nn

from carp_ros.networks.carp_tokenizer import CarpTokenizer, TokenizerConfig
from carp_ros.networks.scaling import Scaling


class ActionTokenizer(nn.Module):
    """The tokenizer of actions in SI units."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.scaling = Scaling(config.dimensions)
        self.vq = CarpTokenizer(config)

    def fit(self, actions: Tensor, kept: Tensor) -> None:
        """Learn the range of actions (F, H, D); `kept` ones, bool (D,), are not scaled."""
        flat = actions.flatten(0, 1)
        self.scaling.fit(flat.amin(0), flat.amax(0), kept)

    def tokenize(self, actions: Tensor) -> Tensor:
        """Return the tokens, int64 (B, N), of actions (B, H, D) in SI units."""
        return self.vq.tokenize(self.scaling(actions))

    def decode(self, latent: Tensor) -> Tensor:
        """Return actions (B, H, D) in SI units, of a latent (B, D, C, L)."""
        return self.scaling.inverse(self.vq.decode(latent))
