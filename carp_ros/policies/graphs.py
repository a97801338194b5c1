"""What all policies of graphs share: errors about a bundle, its history, and its options."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import MANIFEST, Bundle
from carp_ros.refusal import in_words


@contextmanager
def graph_errors(bundle: Bundle) -> Iterator[None]:
    """Re-raise any library's error about a bundle's graphs as a ValueError about the bundle.

    Raises:
        ValueError: If a graph is invalid, or does not match the others or the manifest.
        DeviceError: From the runtime, unchanged, as the bundle may be fine.
    """
    try:
        yield
    except DeviceError:
        raise
    except Exception as error:
        problem = in_words(error)
        raise ValueError(
            f"bundle {bundle.name}: its graphs don't fit, export again: {problem}"
        ) from error


def require_one_observation(bundle: Bundle, plan: str) -> None:
    """Raise unless a bundle's plans are made of one observation.

    Args:
        bundle: The bundle.
        plan: How a plan of its kind is made, in words.
    """
    history = bundle.manifest.observation.history
    if history != 1:
        raise ValueError(
            f"{bundle.folder / MANIFEST}: observation.history is {history}; expected 1, as {plan}"
        )


def require_options(options: Mapping[str, Any], known: Collection[str], kind: str) -> None:
    """Raise if a kind of policy does not have an option."""
    if unknown := sorted(options.keys() - set(known)):
        raise ValueError(f"{unknown} is no option of a {kind} policy; expected {sorted(known)}")
