"""The CARP section of a bundle's manifest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from carp_ros.inference.bundle import MANIFEST, Bundle
from carp_ros.inference.policy_spec import MOST_STEPS
from carp_ros.strict import Between, Sized, read_strictly


@dataclass(frozen=True)
class CarpSection:
    """The section `carp` of `policy.yaml`.

    Attributes:
        scales: Number of latent positions of each scale, coarse to fine.
        committed_steps: Most steps of the last plan that the policy can be told; 0: it takes none.
    """

    scales: Annotated[tuple[int, ...], Between(1, MOST_STEPS), Sized(1, 32)]
    committed_steps: Annotated[int, Between(0, MOST_STEPS)] = 0


def carp_section(bundle: Bundle) -> CarpSection:
    """Parse a bundle's section and check that its graphs match the scales.

    Raises:
        ValueError: If a key is invalid, or the graphs do not match.
    """
    section = read_strictly(CarpSection, bundle.section, f"{bundle.folder / MANIFEST}: carp")
    bundle.require_graphs(graph_names(bundle.manifest.cameras, len(section.scales)))
    return section


def graph_names(cameras: Iterable[str], scales: int) -> tuple[str, ...]:
    """Return the names of the graphs of a policy with these cameras and this many scales."""
    encoders = (f"vision_{camera}" for camera in cameras)
    return (*encoders, "condition", *(f"scale_{k}" for k in range(scales)), "decoder")
