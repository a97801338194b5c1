"""Checks on each runtime present that a bundle computes what the trained network computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnxruntime

from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.onnx_runtime import OnnxRuntime
from carp_ros.policies.load import load_policy
from carp_ros.refusal import in_words

_NEVER_NS = 0  # time, for a policy without deadlines


@dataclass(frozen=True)
class ProviderCheck:
    """Result of one execution provider on the golden case; `problem` is empty if it agrees."""

    provider: str
    problem: str

    @property
    def agrees(self) -> bool:
        """Whether the result is within the manifest's tolerances."""
        return not self.problem

    def __str__(self) -> str:
        """Format on one line."""
        return f"{self.provider:<28} {self.problem or 'agrees with the trained network'}"


def verify_bundle(folder: Path) -> Iterator[ProviderCheck]:
    """Replay the golden case on every installed execution provider.

    Raises:
        ValueError: If the bundle itself is incomplete or damaged.
    """
    task = load_bundle(folder).manifest.tasks[0]
    for provider in onnxruntime.get_available_providers():
        load = partial(load_policy, folder, task, lambda: _NEVER_NS)
        try:
            load(runtime=OnnxRuntime([provider]))
        except (DeviceError, ValueError) as error:
            yield ProviderCheck(provider, str(error))
        except Exception as error:  # of the provider's library
            yield ProviderCheck(provider, in_words(error))
        else:
            yield ProviderCheck(provider, "")
