"""All graphs of a policy in the order in which they run, each with an example of what it computes.

What writes them down (`export.bundle`) and what runs them as they are (`export.torch_runtime`) go
by the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from carp_ros.export.graphs import ConditionGraph, DecoderGraph, VisionGraph
from carp_ros.export.scale_graph import ScaleGraph
from carp_ros.inference.bundle import image_name
from carp_ros.networks.carp_policy import CarpPolicyNetwork, EyesConfig


@dataclass(frozen=True)
class PolicyGraph:
    """A graph of a policy.

    Attributes:
        name: As in the manifest.
        module: Computes it; arguments are positional, in the order of `inputs`.
        inputs: An example, by name.
        outputs: What the module makes of it, by name and in its order.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


@torch.no_grad()
def policy_graphs(
    network: CarpPolicyNetwork, eyes: EyesConfig, example: Mapping[str, Tensor]
) -> Iterator[PolicyGraph]:
    """Yield the graphs of a policy.

    Args:
        network: Trained.
        eyes: How it sees.
        example: What the policy takes at one moment, by name.
    """
    seen: dict[str, Tensor] = {}
    for camera in network.eyes:
        module, image = VisionGraph(network, camera, eyes.crop_px), image_name(camera)
        inputs = {image: example[image]}
        graph = _computed(f"vision_{camera}", module, inputs, [f"features_{camera}"])
        yield graph
        seen |= graph.outputs
    measured = {name: example[name] for name in ("state", "task") if name in example}
    module = ConditionGraph(network, several_tasks="task" in measured)
    condition = _computed("condition", module, {**seen, **measured}, module.outputs)
    yield condition
    vectors = dict(condition.outputs)
    before, cached = {"start": vectors.pop("start")}, {}
    for k in range(len(network.tokenizer.vq.slices)):
        module = ScaleGraph(network, k)
        graph = _computed(f"scale_{k}", module, {**before, **vectors, **cached}, module.outputs)
        yield graph
        before = {"latent": graph.outputs["next_latent"]}
        cached = {name.removeprefix("next_"): graph.outputs[name] for name in module.cached}
    inputs = {**before, "state": example["state"]}
    yield _computed("decoder", DecoderGraph(network), inputs, ["actions"])


def _computed(
    name: str, module: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str]
) -> PolicyGraph:
    found = module.eval()(*inputs.values())
    found = found if isinstance(found, tuple) else (found,)
    return PolicyGraph(name, module, inputs, dict(zip(outputs, found)))
