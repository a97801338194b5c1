"""Compares our CARP with the published implementation on recorded test sets.

A set is four files: `<set>.json`, sizes; `<set>_tokenizer.safetensors` and `<set>_ar.safetensors`,
weights under the published names; `<set>_io.npz`, inputs and the published modules' outputs. The
arrays in the last determine what is compared. Tokens must be equal; other numbers may differ by
`TOLERANCE`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from carp_ros.export.published_checkpoint import published_tokenizer, published_transformer
from carp_ros.export.published_vision import published_features
from carp_ros.files.plain_json import load_json
from carp_ros.networks.carp_tokenizer import CarpTokenizer
from carp_ros.networks.carp_transformer import CarpTransformer
from carp_ros.refusal import refusing
from carp_ros.training.checkpoint_file import read_safetensors

TOLERANCE = 1e-4
_TOKENIZER, _POLICY, _ARRAYS = "_tokenizer.safetensors", "_ar.safetensors", "_io.npz"

Arrays = Mapping[str, Tensor]


@dataclass(frozen=True)
class Deviation:
    """Deviation of one quantity: the number of differing tokens, or the largest absolute error."""

    quantity: str
    value: float
    limit: float

    @property
    def agrees(self) -> bool:
        """Whether it is within the limit."""
        return self.value <= self.limit  # False for NaN

    def __str__(self) -> str:
        """Format on one line."""
        found = f"{self.value:.0f} differ" if self.limit == 0.0 else f"{self.value:.2e}"
        return f"{self.quantity:<20} {found:>12}{'' if self.agrees else '   DISAGREES'}"


def parity_sets(folder: Path) -> list[str]:
    """Return the names of the sets in a folder.

    Raises:
        ValueError: If there is none.
    """
    names = sorted(path.name.removesuffix(_ARRAYS) for path in folder.glob(f"*{_ARRAYS}"))
    if not names:
        raise ValueError(f"{folder} holds no parity set; expected files <set>{_ARRAYS}")
    return names


@torch.inference_mode()
def replay(folder: Path, name: str) -> list[Deviation]:
    """Return every deviation of one set.

    Raises:
        ValueError: If a file is missing or does not fit the others, or there is nothing to compare.
    """
    for end in (".json", _TOKENIZER, _POLICY):
        if not (folder / f"{name}{end}").is_file():
            raise ValueError(f"{folder / name}{_ARRAYS} has no {name}{end} beside it")
    sizes = load_json(folder / f"{name}.json")
    with (
        refusing(ValueError, str(folder / f"{name}{_ARRAYS}")),
        np.load(folder / f"{name}{_ARRAYS}", allow_pickle=False) as archive,
    ):
        arrays = {key: torch.from_numpy(archive[key]) for key in archive.files}
    tokenizer_weights = read_safetensors(folder / f"{name}{_TOKENIZER}")
    policy_weights = read_safetensors(folder / f"{name}{_POLICY}")
    with refusing(ValueError, "the tokenizer"):
        tokenizer = published_tokenizer(sizes, tokenizer_weights)
    with refusing(ValueError, "the policy"):
        transformer = published_transformer(sizes, tokenizer.config, policy_weights)
    with refusing(ValueError, "the set"):
        found = [
            *_tokenizer_deviations(tokenizer, arrays),
            *_policy_deviations(tokenizer, transformer, policy_weights, arrays),
        ]
    if not found:
        raise ValueError(f"{folder / name}{_ARRAYS} has {list(arrays)}; expected tok_, tf_ or gen_")
    return found


def _tokenizer_deviations(tokenizer: CarpTokenizer, arrays: Arrays) -> Iterator[Deviation]:
    if "tok_actions" in arrays:
        latent = tokenizer.encode(arrays["tok_actions"])
        tokens, latents = tokenizer.quantize(latent)
        made = {
            "tok_latent_f": latent,
            "tok_indices": tokens,
            "tok_fhat_per_scale": latents.transpose(1, 2),
            "tok_recon": tokenizer.decode(latents[:, -1]),
            "tok_ar_input": tokenizer.scale_inputs(latents),
        }
        yield from _compared(made, arrays)
    if "dec_tokens" in arrays:
        latents = tokenizer.latents_from_tokens(arrays["dec_tokens"].long())
        yield from _compared({"dec_actions": tokenizer.decode(latents[:, -1])}, arrays)


def _policy_deviations(
    tokenizer: CarpTokenizer, transformer: CarpTransformer, weights: Arrays, arrays: Arrays
) -> Iterator[Deviation]:
    task = arrays["task"].long() if "task" in arrays else None
    if "tf_obs" in arrays:
        condition = transformer.condition(arrays["tf_obs"].flatten(1), task)
        logits = transformer(condition, arrays["tok_ar_input"])
        yield from _compared({"tf_logits": logits}, arrays)
    features = _features(weights, arrays)
    if features is None:
        return
    condition = transformer.condition(features, task)
    generated = transformer.generate(tokenizer, condition)
    made = {
        "enc_features": features,
        "cond": condition,
        "gen_tokens": generated.tokens,
        "gen_logits": generated.logits,
        "gen_logits_scale0": generated.logits[:, transformer.slices[0]],
        "gen_logits_last_row": generated.logits[:, -1],
        # position-major, (B, C, L D)
        "gen_fhat": generated.latent.permute(0, 2, 3, 1).flatten(2),
        "gen_actions": tokenizer.decode(generated.latent),
    }
    yield from _compared(made, arrays)


def _features(weights: Arrays, arrays: Arrays) -> Tensor | None:
    """Return the policy's input features, or None if the set has no generation to compare."""
    if "gen_obs" in arrays:
        return arrays["gen_obs"].flatten(1)
    if "feat" in arrays:
        return arrays["feat"].flatten(1)
    observation = {n.removeprefix("in_"): a for n, a in arrays.items() if n.startswith("in_")}
    return published_features(weights, observation) if observation else None


def _compared(made: Arrays, arrays: Arrays) -> Iterator[Deviation]:
    """Yield the deviation of each quantity that the set contains."""
    for quantity, ours in made.items():
        if quantity not in arrays:
            continue
        theirs = arrays[quantity]
        if theirs.shape != ours.shape:
            raise ValueError(
                f"{quantity} has shape {tuple(ours.shape)}; the set's has {tuple(theirs.shape)}"
            )
        if theirs.is_floating_point():
            yield Deviation(quantity, float((ours - theirs).abs().max()), TOLERANCE)
        else:
            yield Deviation(quantity, float((ours != theirs).sum()), 0.0)
