"""LoRA (arXiv:2106.09685): linear layers that are trained by a narrow way around them.

`W x` becomes `W x + alpha / rank * B (A x)`, with W frozen, A of `rank` rows and B zero at first.
Written here because the part of the `peft` library that a policy needs is less than what it brings
along: `accelerate`, `psutil`, and wrappers around whole models that rename all their parameters.

Only the layers that were widened change their parameters' names, until `merge_lora`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from carp_ros.networks.weights import require_weights

_OWN = ("down", "up")


class LowRankLinear(nn.Module):
    """A linear layer with a narrow way around it.

    The way is kept and computed in single precision at least: steps of an optimizer vanish in half.

    Args:
        linear: The layer; its own weights are frozen.
        rank: Width of the way.
        alpha: Weight of the way, times the rank.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.share = alpha / rank
        weight = linear.weight
        options = {
            "dtype": torch.promote_types(weight.dtype, torch.float32),
            "device": weight.device,
        }
        self.down = nn.Parameter(torch.empty(rank, linear.in_features, **options))
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank, **options))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., out) from (..., in)."""
        y = self.linear(x)
        narrow = x.to(self.down.dtype) @ self.down.T
        return y + (self.share * (narrow @ self.up.T)).to(y.dtype)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Return the linear layer that does the same, trainable."""
        weight = self.linear.weight
        weight += (self.share * (self.up @ self.down)).to(weight.dtype)
        return self.linear.requires_grad_(True)


def add_lora(
    network: nn.Module, patterns: Iterable[str], *, rank: int = 16, alpha: float = 32.0
) -> list[str]:
    """Widen the linear layers whose names match, freeze all else, and return the layers' names.

    Outputs are the same bit for bit until the first step of training.

    Args:
        network: To be trained; of a policy, its backbone.
        patterns: With `*` for any text, as of files: `*.text_model.layers.*.self_attn.?_proj`.
        rank: Of the ways around the layers.
        alpha: See `LowRankLinear`.

    Raises:
        ValueError: If a pattern is that of no linear layer, or the rank is less than 1.
    """
    if rank < 1:
        raise ValueError(f"rank is {rank}; expected 1 or more")
    linears = {name: part for name, part in network.named_modules() if isinstance(part, nn.Linear)}
    chosen: set[str] = set()
    for pattern in patterns:
        found = {name for name in linears if fnmatchcase(name, pattern)}
        if not found:
            raise ValueError(
                f"no linear layer is named {pattern}; expected a pattern such as of"
                f" {', '.join(list(linears)[:3])}"
            )
        chosen |= found
    network.requires_grad_(False)
    for name in chosen:
        _replace(network, name, LowRankLinear(linears[name], rank, alpha))
    return sorted(chosen)


def merge_lora(network: nn.Module) -> None:
    """Make each widened layer a linear one again that does the same."""
    for name, part in _widened(network).items():
        _replace(network, name, part.merged())


def lora_state(network: nn.Module) -> dict[str, Tensor]:
    """Return the trained weights alone, by name."""
    return {
        f"{name}.{own}": getattr(part, own).detach()
        for name, part in _widened(network).items()
        for own in _OWN
    }


def load_lora(network: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Set the trained weights, of a network whose same layers were widened.

    Args:
        network: After `add_lora`.
        weights: As `lora_state` returned them.
        where: Name of their file in errors.

    Raises:
        ValueError: If a weight is missing, unknown, or of the wrong shape or type.
    """
    require_weights(lora_state(network), weights, where)
    network.load_state_dict(weights, strict=False)


def _widened(network: nn.Module) -> dict[str, LowRankLinear]:
    return {name: part for name, part in network.named_modules() if isinstance(part, LowRankLinear)}


def _replace(network: nn.Module, name: str, part: nn.Module) -> None:
    above, _, own = name.rpartition(".")
    setattr(network.get_submodule(above), own, part)
