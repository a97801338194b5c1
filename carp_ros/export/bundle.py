"""Exports a trained policy to a bundle: graphs, manifest, and a golden case to check runtimes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from carp_ros.export.families import EXPORTS
from carp_ros.export.family import ExportFamily
from carp_ros.export.int8 import quantize_products
from carp_ros.export.onnx_export import export_onnx
from carp_ros.export.shared_weights import share_weights
from carp_ros.files.plain_yaml import yaml_from_mapping
from carp_ros.files.whole_file import remove_folder, whole_folder
from carp_ros.inference.bundle import (
    FORMAT,
    MANIFEST,
    WEIGHTS,
    WeightPrecision,
    sha256_of,
)
from carp_ros.inference.layout import VectorLayout
from carp_ros.inference.published_words import VOCABULARY
from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.refusal import in_words, refusing
from carp_ros.training.bundled_network import NETWORK, write_network

_GOLDEN = "golden.npz"
_VISION = "vision_"  # prefix of a camera's name
_TOLERANCES = {
    "float32": {
        "position_tolerance_m": 0.001,
        "rotation_tolerance_rad": 0.005,
        "gripper_tolerance": 0.02,
    },
    "int8": {
        "position_tolerance_m": 0.005,
        "rotation_tolerance_rad": 0.02,
        "gripper_tolerance": 0.05,
    },
}
"""Allowed error of a runtime at the golden case, by the precision of the graphs."""


@dataclass(frozen=True)
class BundleMetadata:
    """Content of the manifest that does not follow from the network.

    Attributes:
        kind: Of policy.
        rig: Name of the rig.
        tasks: Names, in the order of their indices.
        step_s: Time between two steps of a chunk.
        observation: Observation history, as in the manifest.
        dataset_px: Width and height of the dataset's images by camera, if they were resized.
        state, action: Meaning of the numbers, and their ranges in training.
        made: Provenance, in free form.
        config: Of the training, for training on from the bundle.
    """

    kind: str
    rig: str
    tasks: tuple[str, ...]
    step_s: float
    observation: Mapping[str, Any]
    dataset_px: Mapping[str, tuple[int, int]]
    state: VectorLayout
    action: VectorLayout
    made: Mapping[str, Any]
    config: Mapping[str, Any]


def write_bundle(
    folder: Path,
    network: nn.Module,
    encoder: ImageEncoderConfig,
    facts: BundleMetadata,
    example: Mapping[str, Tensor],
    precision: WeightPrecision = "float32",
) -> None:
    """Write a bundle, replacing any bundle that is already there.

    Args:
        folder: Of the bundle.
        network: Trained, on the CPU.
        encoder: Image encoder of each camera.
        facts: Further content of the manifest.
        example: Encoder inputs of one real observation, for the golden case.
        precision: Of the graphs; the golden case is always computed by the network itself.

    Raises:
        ValueError: If the folder holds something other than a bundle, or can't be written.
    """
    folder = folder.resolve()
    require_replaceable(folder)
    family = EXPORTS[facts.kind]
    with _written(folder) as draft:
        golden, flops = _write_graphs(draft, family, network, encoder, example)
        if precision == "int8":
            for path in (path for name in family.quantized for path in draft.glob(f"{name}*.onnx")):
                with refusing(ValueError, f"{path.name} in 8 bits"):
                    quantize_products(path)
        arrays = {name: value.numpy() for name, value in (*example.items(), *golden.items())}
        weights = {name: value.numpy() for name, value in network.state_dict().items()}
        places = share_weights(sorted(draft.glob("*.onnx")), weights, draft / WEIGHTS)
        write_network(draft, facts.config, places)
        np.savez_compressed(draft / _GOLDEN, allow_pickle=False, **arrays)
        manifest = _manifest(draft, family, network, encoder, facts, precision, golden, list(flops))
        manifest["made"]["precision"] = precision
        manifest["made"]["flops"] = flops
        manifest["made"]["parameters"] = sum(x.numel() for x in network.parameters())
        vocabulary = family.vocabulary(network)
        if vocabulary is not None:
            (draft / VOCABULARY).write_text(vocabulary, encoding="utf-8")
            manifest["vocabulary"] = _entry(draft, VOCABULARY)
        (draft / MANIFEST).write_text(yaml_from_mapping(manifest), encoding="utf-8")
        remove_folder(folder)  # only once the new one is complete


def require_replaceable(folder: Path) -> None:
    """Raise if a folder holds anything but a bundle, which replacing it would destroy.

    Raises:
        ValueError: If it does.
    """
    with refusing(ValueError, str(folder)):
        if not folder.exists() and not folder.is_symlink():
            return
        if not folder.is_dir():
            raise ValueError("is a file; expected the folder of a bundle, or none: name another")
        parts = list(folder.iterdir())
        if parts and MANIFEST not in [part.name for part in parts]:
            raise ValueError(
                f"holds {len(parts)} files, but no {MANIFEST}; expected a bundle, which is"
                " replaced, or an empty folder: name another"
            )
        if any(part.is_dir() and not part.is_symlink() for part in parts):
            raise ValueError("has folders in it, which no bundle has; name another")


@contextmanager
def _written(folder: Path) -> Iterator[Path]:
    """Yield a draft folder as `whole_folder` does; raise ValueError if it can't be written."""
    if not folder.name:
        raise ValueError(f"{folder} can't be replaced; name a folder for the bundle")
    try:
        with whole_folder(folder) as draft:
            yield draft
    except OSError as error:
        raise ValueError(f"{folder} can't be written: {in_words(error)}") from error


def _write_graphs(
    folder: Path,
    family: ExportFamily,
    network: nn.Module,
    encoder: ImageEncoderConfig,
    example: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Write every graph; return the example's actions and tokens, if any, and FLOPs by graph."""
    flops: dict[str, int] = {}
    tokens: list[Tensor] = []
    golden: dict[str, Tensor] = {}
    for graph in family.graphs(network, encoder, example):
        path = folder / f"{graph.name}.onnx"
        flops[graph.name] = export_onnx(graph.module, graph.inputs, tuple(graph.outputs), path)
        if "tokens" in graph.outputs:
            tokens.append(graph.outputs["tokens"])
        if "actions" in graph.outputs:
            golden["actions"] = graph.outputs["actions"][0]
    return golden | ({"tokens": torch.cat(tokens)} if tokens else {}), flops


def _manifest(
    folder: Path,
    family: ExportFamily,
    network: nn.Module,
    encoder: ImageEncoderConfig,
    facts: BundleMetadata,
    precision: WeightPrecision,
    golden: Mapping[str, Tensor],
    graphs: Sequence[str],
) -> dict[str, Any]:
    horizon = len(golden["actions"])
    cameras = [name.removeprefix(_VISION) for name in graphs if name.startswith(_VISION)]
    return {
        "format": FORMAT,
        "kind": facts.kind,
        "tasks": list(facts.tasks),
        "rig": facts.rig,
        "horizon": horizon,
        "step_s": facts.step_s,
        "execution_horizon": horizon // 2,  # as in CARP's paper
        "observation": dict(facts.observation),
        "cameras": {camera: _camera(encoder, facts.dataset_px.get(camera)) for camera in cameras},
        "state": _layout(facts.state),
        "action": _layout(facts.action),
        "graphs": {name: _entry(folder, f"{name}.onnx") for name in graphs},
        "weights": _entry(folder, WEIGHTS),
        "golden": {**_entry(folder, _GOLDEN), **_TOLERANCES[precision]},
        "network": _entry(folder, NETWORK),
        "made": dict(facts.made),
        facts.kind: family.section(network),
        **({"takes_instruction": True} if family.takes_instruction else {}),
    }


def _camera(encoder: ImageEncoderConfig, dataset_px: tuple[int, int] | None) -> dict[str, Any]:
    size = {"width_px": encoder.image_px[0], "height_px": encoder.image_px[1]}
    if dataset_px is None:
        return size
    return {**size, "dataset": {"width_px": dataset_px[0], "height_px": dataset_px[1]}}


def _layout(layout: VectorLayout) -> dict[str, Any]:
    content = {name: list(value) for name, value in dataclasses.asdict(layout).items()}
    numbers = {name: [round(x, 5) for x in content[name]] for name in ("low", "high")}
    return {**content, **numbers, "kind": layout.kind}


def _entry(folder: Path, file: str) -> dict[str, str]:
    return {"file": file, "sha256": sha256_of(folder / file)}
