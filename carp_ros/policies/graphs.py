"""Turns any error while loading a bundle's graphs into an error about the bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import Bundle
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
