"""What exporting must know of a kind of policy: its graphs, and its section of the manifest."""

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
        """Beginnings of the names of those graphs whose products may be of 8 bits."""
        ...

    def graphs(
        self, network: Any, encoder: ImageEncoderConfig, example: Mapping[str, Tensor]
    ) -> Iterator[PolicyGraph]:
        """Yield the graphs in the order in which they run, each with what it makes of the example.

        The last has the output `actions`, of shape (1, H, A).
        """
        ...

    def section(self, network: Any) -> dict[str, Any]:
        """Return what the manifest says under the name of the kind."""
        ...
