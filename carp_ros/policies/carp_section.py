"""What a CARP bundle says of itself beside the common head."""

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
        scales: How many positions of the latent each scale decides, coarse to fine.
    """

    scales: Annotated[tuple[int, ...], Between(1, MOST_STEPS), Sized(1, 32)]


def carp_section(bundle: Bundle) -> CarpSection:
    """Return the section of a bundle whose graphs are those of the scales it names.

    Raises:
        ValueError: If a key is wrong, or the graphs are others.
    """
    section = read_strictly(CarpSection, bundle.section, f"{bundle.folder / MANIFEST}: carp")
    bundle.require_graphs(graph_names(bundle.manifest.cameras, len(section.scales)))
    return section


def graph_names(cameras: Iterable[str], scales: int) -> tuple[str, ...]:
    """Return the graphs of a policy with these cameras and so many scales."""
    encoders = (f"vision_{camera}" for camera in cameras)
    return (*encoders, "condition", *(f"scale_{k}" for k in range(scales)), "decoder")
