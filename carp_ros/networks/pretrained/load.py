"""Makes backbones of published models: from a folder on disk, or of any size with random weights.

Nothing is ever downloaded. A folder is what the model's publisher offers: `config.json`,
`*.safetensors` and `tokenizer.json`. It is under the publisher's licence, which may exclude
commercial use.
"""

# The extra `vlm` is not among what is installed to check types.
# pyright: reportMissingImports=false

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from carp_ros.inference.published_words import VOCABULARY, load_published_words
from carp_ros.networks.pretrained.adapter import PretrainedBackbone
from carp_ros.networks.pretrained.paligemma import PaliGemma
from carp_ros.networks.pretrained.qwen2_5_vl import Qwen25Vl
from carp_ros.networks.pretrained.smolvlm2 import SmolVlm2

ADAPTERS: dict[str, type[PretrainedBackbone]] = {
    "paligemma": PaliGemma,
    "qwen2_5_vl": Qwen25Vl,
    "smolvlm": SmolVlm2,
}
"""By `model_type` in `config.json`."""

_CONFIG = "config.json"
_NAMED = 3  # how many missing weights an error names


def random_backbone(
    values: Mapping[str, Any], *, layers: int | None = None, image_px: int | None = None
) -> PretrainedBackbone:
    """Return a backbone with random weights, or with none on the meta device.

    Args:
        values: As in `config.json`.
        layers: How many of the decoder's first layers to keep; None for all.
        image_px: Side of the square that images are scaled to; None for the published one.

    Raises:
        ValueError: If the values are those of another kind of model, or do not fit.
    """
    from transformers import AutoModel

    adapter = _adapter_of(values, "the configuration")
    model = AutoModel.from_config(_config(values, layers)).to(torch.get_default_dtype())
    return adapter(model, image_px).eval()


def load_backbone(
    folder: Path,
    *,
    layers: int | None = None,
    image_px: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> PretrainedBackbone:
    """Return a published model's backbone, with its weights and tokenizer.

    Args:
        folder: With `config.json`, `*.safetensors` and `tokenizer.json`.
        layers: How many of the decoder's first layers to keep, as SmolVLA keeps 16 of 32; None for
            all.
        image_px: Side of the square that images are scaled to; None for the published one.
        dtype: Of the weights. Not to be changed later by `half`: wavelengths of positions, which
            are no weights, stay in single precision.

    Raises:
        ValueError: If the folder is not that of a published model that this package knows.
    """
    from transformers import AutoModel

    values = _values_of(folder)
    adapter = _adapter_of(values, str(folder / _CONFIG))
    if not any(folder.glob("*.safetensors")):
        raise ValueError(
            f"{folder} has no .safetensors files; expected the weights of the published model:"
            " download them into it"
        )
    config = _config(values, layers)
    try:
        with _silent():  # about the head, and layers, that are left out
            model, found = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
    except Exception as error:  # of many kinds: files, shapes, an index of what is not there
        raise ValueError(
            f"{folder} can't be read ({error}); expected the weights of the published model that"
            f" its {_CONFIG} describes: copy them again"
        ) from error
    missing = sorted(found["missing_keys"])
    if missing:
        named = ", ".join(missing[:_NAMED])
        raise ValueError(
            f"{folder} lacks {len(missing)} weights, {named} among them; expected all that its"
            f" {_CONFIG} describes: copy the files again"
        )
    backbone = adapter(model, image_px).eval()
    backbone.words = load_published_words(folder / VOCABULARY, backbone.first_tokens())
    return backbone


def described_backbone(
    folder: Path, *, layers: int | None = None, image_px: int | None = None
) -> PretrainedBackbone:
    """Return the backbone that a published model's folder describes, with random weights.

    Args:
        folder: With `config.json` and `tokenizer.json`.
        layers: As of `load_backbone`.
        image_px: As of `load_backbone`.

    Raises:
        ValueError: If the folder is not that of a published model that this package knows.
    """
    backbone = random_backbone(_values_of(folder), layers=layers, image_px=image_px)
    backbone.words = load_published_words(folder / VOCABULARY, backbone.first_tokens())
    return backbone


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the library from writing while it loads, other than by exceptions."""
    from transformers.utils import logging

    verbosity, has_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bar:
            logging.enable_progress_bar()


def _values_of(folder: Path) -> dict[str, Any]:
    path = folder / _CONFIG
    if not path.is_file():
        raise ValueError(
            f"{folder} has no {_CONFIG}; expected a published model's folder: download it before"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); copy it again") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} is no object; expected a published model's {_CONFIG}")
    return values


def _adapter_of(values: Mapping[str, Any], where: str) -> type[PretrainedBackbone]:
    kind = values.get("model_type")
    if kind not in ADAPTERS:
        raise ValueError(
            f"{where}: model_type is {kind!r}; expected one of {', '.join(ADAPTERS)}: choose the"
            " folder of such a model"
        )
    return ADAPTERS[kind]


def _config(values: Mapping[str, Any], layers: int | None) -> Any:
    """Return the library's configuration of values, with so many layers of the decoder."""
    from transformers import CONFIG_MAPPING

    own = copy.deepcopy(dict(values))  # the library changes what it is given
    config = CONFIG_MAPPING[own["model_type"]].from_dict(own)
    if layers is None:
        return config
    text = config.get_text_config()
    if not 1 <= layers <= text.num_hidden_layers:
        raise ValueError(
            f"layers is {layers}; expected 1 to {text.num_hidden_layers}, the model's own"
        )
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None) is not None:
        text.layer_types = text.layer_types[:layers]
    return config
