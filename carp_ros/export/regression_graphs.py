"""The regression policy's graphs: one per image encoder, and one for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from carp_ros.export.graphs import VisionGraph
from carp_ros.export.policy_graph import PolicyGraph, computed
from carp_ros.inference.bundle import image_name
from carp_ros.networks.carp_policy import ImageEncoderConfig
from carp_ros.networks.regression_policy import RegressionPolicyNetwork


class RegressionExport:
    """The kind `regression`; see `family.ExportFamily`."""

    quantized = ("vision_", "plan")
    takes_instruction = False

    @torch.no_grad()
    def graphs(
        self,
        network: RegressionPolicyNetwork,
        encoder: ImageEncoderConfig,
        example: Mapping[str, Tensor],
    ) -> Iterator[PolicyGraph]:
        """Yield the graphs in the order in which they run."""
        inputs: dict[str, Tensor] = {}
        for camera, module in network.image_encoders.items():
            image, features = image_name(camera), f"features_{camera}"
            vision = VisionGraph(module, encoder.crop_px)
            graph = computed(f"vision_{camera}", vision, {image: example[image]}, [features])
            yield graph
            inputs |= graph.outputs
        inputs |= {name: example[name] for name in ("state", "task") if name in example}
        yield computed("plan", _PlanGraph(network, "task" in example), inputs, ["actions"])

    def vocabulary(self, network: nn.Module) -> str | None:
        """Return None: no text is read."""
        return None

    def section(self, network: RegressionPolicyNetwork) -> dict[str, Any]:
        """Return the section `regression` of the manifest, which is empty."""
        return {}


class _PlanGraph(nn.Module):
    def __init__(self, network: RegressionPolicyNetwork, several_tasks: bool) -> None:
        super().__init__()
        self.network = network
        self._several_tasks = several_tasks

    def forward(self, *inputs: Tensor) -> Tensor:
        task = inputs[-1] if self._several_tasks else None
        *seen, state = inputs[:-1] if self._several_tasks else inputs
        plan = self.network.scaled_plan(self.network.fuse(seen, state, task))
        return self.network.unscaled(plan, state)
