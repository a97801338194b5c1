"""CARP's graphs: image encoders, condition, scales, decoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from carp_ros.export.committed import nothing_committed
from carp_ros.export.graphs import ConditionGraph, DecoderGraph, VisionGraph
from carp_ros.export.policy_graph import PolicyGraph, computed
from carp_ros.export.scale_graph import ScaleGraph
from carp_ros.inference.bundle import image_name
from carp_ros.networks.carp_policy import CarpPolicyNetwork, ImageEncoderConfig


class CarpExport:
    """The kind `carp`; see `family.ExportFamily`."""

    quantized = ("vision_", "scale_")
    takes_instruction = False

    def graphs(
        self, network: CarpPolicyNetwork, encoder: ImageEncoderConfig, example: Mapping[str, Tensor]
    ) -> Iterator[PolicyGraph]:
        """Yield the graphs in the order in which they run."""
        return policy_graphs(network, encoder, example)

    def vocabulary(self, network: Any) -> str | None:
        """Return None: no text is read."""
        return None

    def section(self, network: CarpPolicyNetwork) -> dict[str, Any]:
        """Return the section `carp` of the manifest."""
        section: dict[str, Any] = {"scales": list(network.tokenizer.vq.config.scales)}
        if network.committed_steps:
            section["committed_steps"] = network.committed_steps
        return section


@torch.no_grad()
def policy_graphs(
    network: CarpPolicyNetwork, encoder: ImageEncoderConfig, example: Mapping[str, Tensor]
) -> Iterator[PolicyGraph]:
    """Yield the graphs of a policy.

    Args:
        network: Trained.
        encoder: Image encoder of each camera.
        example: The policy's inputs for one observation, by name.
    """
    seen: dict[str, Tensor] = {}
    for camera in network.image_encoders:
        module, image = (
            VisionGraph(network.image_encoders[camera], encoder.crop_px),
            image_name(camera),
        )
        inputs = {image: example[image]}
        graph = computed(f"vision_{camera}", module, inputs, [f"features_{camera}"])
        yield graph
        seen |= graph.outputs
    measured = {name: example[name] for name in ("state", "task") if name in example}
    module = ConditionGraph(network, several_tasks="task" in measured)
    if network.committed_steps:
        size = network.tokenizer.config.vq.dimensions
        measured |= nothing_committed(example["state"], network.committed_steps, size)
    condition = computed("condition", module, {**seen, **measured}, module.outputs)
    yield condition
    vectors = dict(condition.outputs)
    before, cached = {"start": vectors.pop("start")}, {}
    for k in range(len(network.tokenizer.vq.slices)):
        module = ScaleGraph(network, k)
        graph = computed(f"scale_{k}", module, {**before, **vectors, **cached}, module.outputs)
        yield graph
        before = {"latent": graph.outputs["next_latent"]}
        cached = {name.removeprefix("next_"): graph.outputs[name] for name in module.cached}
    inputs = {**before, "state": example["state"]}
    yield computed("decoder", DecoderGraph(network), inputs, ["actions"])
