"""Published CARP checkpoints as files, and ours made of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from carp_ros.export.published_sizes import tokenizer_config, transformer_config
from carp_ros.export.published_tokenizer import load_tokenizer_weights
from carp_ros.export.published_transformer import load_transformer_weights
from carp_ros.networks.carp_tokenizer import CarpTokenizer, TokenizerConfig
from carp_ros.networks.carp_transformer import CarpTransformer, TransformerConfig
from carp_ros.strict import read_strictly
from carp_ros.whole_file import whole_file

_CONFIG, _TOKENIZER, _TRANSFORMER = "config.json", "tokenizer.safetensors", "policy.safetensors"
_AVERAGED, _LOCAL = "ema_ar_wo_ddp", "vae_local"


def import_checkpoint(tokenizer: Path, policy: Path, sizes: Path, out: Path) -> None:
    """Write published weights as a checkpoint of ours: sizes, and one file a network.

    An image policy's encoders are not part of it: `published_vision.load_encoder` reads them.

    Args:
        tokenizer: Its weights, or a training's checkpoint that has them.
        policy: Likewise; of a training's checkpoint, the averaged weights.
        sizes: JSON with what the weights do not say.
        out: Folder; made if it is not there.

    Raises:
        ValueError: If a file can't be read, or a weight does not fit.
    """
    said = json.loads(sizes.read_text())
    tokenizer_weights, policy_weights = read_weights(tokenizer, _LOCAL), read_weights(policy)
    size = tokenizer_config(said, tokenizer_weights)
    vq = CarpTokenizer(size)
    load_tokenizer_weights(vq, tokenizer_weights)
    transformer = CarpTransformer(transformer_config(said, size, policy_weights))
    load_transformer_weights(transformer, policy_weights)
    config = {
        "tokenizer": dataclasses.asdict(size),
        "policy": dataclasses.asdict(transformer.config),
    }
    with whole_file(out / _CONFIG) as draft:
        draft.write_text(json.dumps(config, indent=2) + "\n")
    for name, network in ((_TOKENIZER, vq), (_TRANSFORMER, transformer)):
        with whole_file(out / name) as draft:
            save_file(network.state_dict(), draft)


def load_imported(folder: Path) -> tuple[CarpTokenizer, CarpTransformer]:
    """Return what `import_checkpoint` wrote."""
    content = json.loads((folder / _CONFIG).read_text())
    vq = CarpTokenizer(read_strictly(TokenizerConfig, content["tokenizer"], f"{folder}: tokenizer"))
    vq.load_state_dict(load_file(folder / _TOKENIZER))
    transformer = CarpTransformer(
        read_strictly(TransformerConfig, content["policy"], f"{folder}: policy")
    )
    transformer.load_state_dict(load_file(folder / _TRANSFORMER))
    return vq.eval(), transformer.eval()


def read_weights(path: Path, part: str = _AVERAGED) -> dict[str, Tensor]:
    """Return the weights in a file.

    Args:
        path: `.safetensors`, or `.pt` of plain weights or of a training's checkpoint.
        part: Which weights of a training's checkpoint.

    Raises:
        ValueError: If the file can't be read, or lacks the part.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, by format
        raise ValueError(f"{path} holds no weights: {error}") from error
    if "trainer" in content:
        content = content["trainer"]
        if part not in content:
            raise ValueError(f"{path} has {', '.join(content)}; expected {part}")
        content = content[part]
    return {name.removeprefix("module."): weight for name, weight in content.items()}
