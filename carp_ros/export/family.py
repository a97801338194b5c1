"""The interface of a kind of policy to the export: its graphs and its section of the manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from torch import Tensor

from carp_ros.export.policy_graph import PolicyGraph
from carp_ros.networks.carp_policy import ImageEncoderConfig


class ExportFamily(Protocol):
    """One kind of policy."""

    @property
    def quantized(self) -> tuple[str, ...]:
        """Name prefixes of the graphs whose products may be in 8 bits."""
        ...

    @property
    def takes_instruction(self) -> bool:
        """Whether its policies follow instructions other than those of the training."""
        ...

    def graphs(
        self, network: Any, encoder: ImageEncoderConfig, example: Mapping[str, Tensor]
    ) -> Iterator[PolicyGraph]:
        """Yield the graphs in the order in which they run, each with its outputs for the example.

        The last has the output `actions`, of shape (1, H, A).
        """
        ...

    def vocabulary(self, network: Any) -> str | None:
        """Return the text tokens of a published model, as JSON; None for none."""
        ...

    def section(self, network: Any) -> dict[str, Any]:
        """Return the manifest's section that is named after the kind."""
        ...
