"""A trained policy as the graphs of a bundle: encoder, one pass a scale, decoder.

Everything from bytes of an image to metres of an action is inside; keys and values go in and out,
so that a runtime decides where they live. What follows from weights alone (pooling, bicubic
spreading, phi) is folded to constants by the exporter.
"""

from __future__ import annotations

from torch import Tensor, nn

from carp_ros.networks.carp_policy import CarpPolicyNetwork
from carp_ros.networks.vision import center_crop


class EncoderGraph(nn.Module):
    """Images, state and task to the first scale's input and all AdaLN vectors.

    Args:
        network: Trained.
        crop_px: Width and height that it looks at.
        several_tasks: Whether there is an input `task`.
    """

    def __init__(
        self, network: CarpPolicyNetwork, crop_px: tuple[int, int], *, several_tasks: bool
    ) -> None:
        super().__init__()
        self.network = network
        self.cameras = tuple(network.eyes)
        self._crop_px, self._several_tasks = crop_px, several_tasks

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return `start` (1, G l_0, E) and `modulation` (1, M)."""
        seen = inputs[: len(self.cameras)]
        state, *task = inputs[len(self.cameras) :]
        images = {c: center_crop(x, self._crop_px) for c, x in zip(self.cameras, seen)}
        condition = self.network.condition(images, state, task[0] if self._several_tasks else None)
        transformer = self.network.transformer
        return transformer.start(condition), transformer.modulation(condition)


class ScaleGraph(nn.Module):
    """One pass: the likeliest tokens of scale `k`, and the latent with them or with the mean."""

    def __init__(self, network: CarpPolicyNetwork, k: int) -> None:
        super().__init__()
        self.network, self.k = network, k
        self.is_last = k == len(network.tokenizer.vq.slices) - 1

    def forward(
        self,
        modulation: Tensor,
        before: Tensor,
        keys: Tensor | None = None,
        values: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Return `next_latent`, `tokens`, `log_likelihood`; of all but the last also `next_keys`.

        Args:
            modulation: Of shape (1, M).
            before: `start` for the first scale, else `latent` (1, G, C, L).
            keys: Of the scales before, (depth, 1, heads, T, head width); None for the first.
            values: Likewise; with `next_keys` comes `next_values`.
        """
        vq, transformer, k = self.network.tokenizer.vq, self.network.transformer, self.k
        if k == 0:
            latent, x = vq.empty_latent(1), before
        else:
            latent, x = before, vq.next_input(k, before)
        logits, keys, values = transformer.step(k, x, modulation, keys, values)
        tokens = logits.argmax(dim=-1)
        log_likelihood = (logits.amax(dim=-1) - logits.logsumexp(dim=-1)).sum(dim=-1)
        sharpness = self.network.sharpness
        if sharpness is None:
            latent = vq.add_scale(k, latent, tokens)
        else:
            latent = vq.add_mean(k, latent, logits, sharpness)
        found = (latent, tokens, log_likelihood)
        return found if self.is_last else (*found, keys, values)


class DecoderGraph(nn.Module):
    """The latent after any scale to actions."""

    def __init__(self, network: CarpPolicyNetwork) -> None:
        super().__init__()
        self.tokenizer = network.tokenizer

    def forward(self, latent: Tensor, state: Tensor) -> Tensor:
        """Return `actions` (1, H, 10) in SI units, of `latent` (1, G, C, L) and `state` (1, 10)."""
        # a sum that is nothing keeps the input where actions are absolute anyway
        return self.tokenizer.decode(latent, state) + 0.0 * state[:, None]
