"""Reads published CARP checkpoints and converts them to ours."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from carp_ros.export.published_sizes import (
    Sizes,
    Weights,
    tokenizer_config,
    transformer_config,
)
from carp_ros.export.published_tokenizer import load_tokenizer_weights
from carp_ros.export.published_transformer import load_transformer_weights
from carp_ros.files.plain_json import load_json
from carp_ros.files.whole_file import whole_file
from carp_ros.networks.carp_tokenizer import CarpTokenizer, TokenizerConfig
from carp_ros.networks.carp_transformer import CarpTransformer, TransformerConfig
from carp_ros.networks.weights import network_with, require_weights
from carp_ros.refusal import in_words, refusing, shortened
from carp_ros.strict import read_strictly
from carp_ros.training.checkpoint_file import (
    read_safetensors,
    read_torch,
    write_safetensors,
)
from carp_ros.training.policy_config import checked

_CONFIG, _TOKENIZER, _TRANSFORMER = "config.json", "tokenizer.safetensors", "policy.safetensors"
_AVERAGED, _LOCAL = "ema_ar_wo_ddp", "vae_local"


def import_checkpoint(tokenizer: Path, policy: Path, sizes: Path, out: Path) -> None:
    """Convert published weights to a checkpoint of ours: sizes, and one file per network.

    The image encoders of an image policy are not included; `published_vision.load_encoder` reads
    them.

    Args:
        tokenizer: File of its weights, or a training checkpoint that contains them.
        policy: Likewise; from a training checkpoint, the averaged weights are used.
        sizes: JSON file with sizes that can't be inferred from the weights.
        out: Folder; created if missing.

    Raises:
        ValueError: If a file can't be read, or a weight does not fit.
    """
    said = load_json(sizes)
    tokenizer_weights, policy_weights = (
        read_published_weights(tokenizer, _LOCAL),
        read_published_weights(policy),
    )
    with refusing(ValueError, f"{tokenizer} with {sizes}"):
        vq = published_tokenizer(said, tokenizer_weights)
    with refusing(ValueError, f"{policy} with {sizes}"):
        transformer = published_transformer(said, vq.config, policy_weights)
    config = {
        "tokenizer": dataclasses.asdict(vq.config),
        "policy": dataclasses.asdict(transformer.config),
    }
    try:
        with whole_file(out / _CONFIG) as draft:
            draft.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        for name, network in ((_TOKENIZER, vq), (_TRANSFORMER, transformer)):
            with whole_file(out / name) as draft:
                write_safetensors(network.state_dict(), draft)
    except OSError as error:
        raise ValueError(f"{out} can't be written: {in_words(error)}") from error


def published_tokenizer(sizes: Sizes, weights: Weights) -> CarpTokenizer:
    """Build a tokenizer from published weights.

    Raises:
        ValueError: If a size or a weight does not fit.
    """
    vq = CarpTokenizer(checked(tokenizer_config(sizes, weights), "the tokenizer"))
    load_tokenizer_weights(vq, weights)
    require_weights(vq.state_dict(), vq.state_dict(), "the tokenizer")
    return vq.eval()


def published_transformer(
    sizes: Sizes, tokenizer: TokenizerConfig, weights: Weights
) -> CarpTransformer:
    """Build a transformer from published weights.

    Raises:
        ValueError: If a size or a weight does not fit.
    """
    config = checked(transformer_config(sizes, tokenizer, weights), "the policy")
    transformer = CarpTransformer(config)
    load_transformer_weights(transformer, weights)
    require_weights(transformer.state_dict(), transformer.state_dict(), "the policy")
    return transformer.eval()


def load_imported(folder: Path) -> tuple[CarpTokenizer, CarpTransformer]:
    """Load what `import_checkpoint` wrote.

    Raises:
        ValueError: If a file is missing or was changed.
    """
    content = read_strictly(_Config, load_json(folder / _CONFIG), str(folder / _CONFIG))
    file = folder / _TOKENIZER
    vq = network_with(lambda: CarpTokenizer(content.tokenizer), read_safetensors(file), str(file))
    file = folder / _TRANSFORMER
    transformer = network_with(
        lambda: CarpTransformer(content.policy), read_safetensors(file), str(file)
    )
    return vq.eval(), transformer.eval()


@dataclass(frozen=True)
class _Config:
    """Content of the checkpoint's configuration."""

    tokenizer: TokenizerConfig
    policy: TransformerConfig


def read_published_weights(path: Path, part: str = _AVERAGED) -> dict[str, Tensor]:
    """Return the weights in a file.

    Args:
        path: `.safetensors`, or `.pt` of plain weights or of a training checkpoint.
        part: Which weights of a training checkpoint to return.

    Raises:
        ValueError: If the file can't be read or lacks the part.
    """
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    content: Any = read_torch(path)
    with refusing(ValueError, str(path)):
        if "trainer" in content:
            content = content["trainer"]
            if part not in content:
                raise ValueError(f"it has {shortened(', '.join(content), 200)}; expected {part}")
            content = content[part]
        for name, weight in content.items():
            if not isinstance(weight, Tensor):
                raise ValueError(f"{name} is a {type(weight).__name__}; expected a tensor")
        return {name.removeprefix("module."): weight for name, weight in content.items()}
