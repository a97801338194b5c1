"""CARP's tokenizer together with its input scaling and the choice of reference frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from carp_ros.networks.carp_tokenizer import CarpTokenizer, TokenizerConfig
from carp_ros.networks.relative_actions import absolute, relative
from carp_ros.networks.scaling import Scaling

_BATCH = 1024  # of chunks that are coded at a time


@dataclass(frozen=True)
class ActionConfig:
    """How actions are represented before they are tokenized.

    Attributes:
        vq: The tokenizer's sizes.
        relative: Express poses relative to the measured tool, see `relative_actions`.
        scaled: Which numbers are scaled to [-1, 1]; the others are left as they are. Empty for all.
    """

    vq: TokenizerConfig
    relative: bool = False
    scaled: tuple[bool, ...] = ()

    @property
    def horizon(self) -> int:
        """H."""
        return self.vq.horizon


class ActionTokenizer(nn.Module):
    """Turns absolute actions in SI units into tokens and back."""

    kind = "carp"

    def __init__(self, config: ActionConfig) -> None:
        super().__init__()
        self.config = config
        self.scaling = Scaling(config.vq.dimensions)
        self.vq = CarpTokenizer(config.vq)

    def names(self, action: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the numbers that are tokenized: an action's own."""
        return tuple(action)

    def fit(self, actions: Tensor, states: Tensor) -> None:
        """Fit the scaling to the range of actions (F, H, D), given measured states (F, S)."""
        flat = self._seen(actions, states).flatten(0, 1)
        scaled = self.config.scaled or (True,) * self.config.vq.dimensions
        self.scaling.fit_outputs(flat.amin(0), flat.amax(0), ~torch.tensor(scaled))

    def normalised(self, actions: Tensor, states: Tensor) -> Tensor:
        """Return the VQ-VAE's input for actions (B, H, D), given measured states (B, S)."""
        return self.scaling(self._seen(actions, states))

    def losses(self, normalised: Tensor) -> dict[str, Tensor]:
        """Return the paper's loss, summed over dimensions, and its parts as means."""
        loss = self.vq(normalised)
        return {
            "loss": loss.loss,
            "reconstruction_loss": loss.reconstruction_loss.mean(),
            "quantization_loss": loss.quantization_loss.mean(),
        }

    def errors(self, normalised: Tensor) -> dict[str, float]:
        """Return errors of coded and decoded actions, and the mean number of codes used."""
        tokens = torch.cat([self.vq.tokenize(part) for part in normalised.split(_BATCH)])
        latents = [self.vq.latents_from_tokens(part)[:, -1] for part in tokens.split(_BATCH)]
        back = torch.cat([self.vq.decode(latent) for latent in latents])
        error = (back - normalised).abs() / self.scaling.scale
        groups = self.vq.config.groups
        used = [len(tokens[:, group::groups].unique()) for group in range(groups)]
        return {
            "position_error_m": float(error[..., :3].mean()),
            "other_error": float(error[..., 3:].mean()),
            "codes_used": sum(used) / groups,
        }

    def tokenize(self, actions: Tensor, states: Tensor) -> Tensor:
        """Return the tokens, int64 (B, N), of actions (B, H, D), given measured states (B, S)."""
        return self.vq.tokenize(self.normalised(actions, states))

    def decode(self, latent: Tensor, states: Tensor) -> Tensor:
        """Decode a latent (B, G, C, L) to actions (B, H, D), given measured states (B, S)."""
        actions = self.scaling.inverse(self.vq.decode(latent))
        return absolute(actions, states) if self.config.relative else actions

    def _seen(self, actions: Tensor, states: Tensor) -> Tensor:
        return relative(actions, states) if self.config.relative else actions
