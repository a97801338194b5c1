"""The graphs of a bundle, as they are loaded: whatever is wrong inside is about this bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from carp_ros.errors import DeviceError
from carp_ros.inference.bundle import Bundle
from carp_ros.refusal import in_words


@contextmanager
def fitting(bundle: Bundle) -> Iterator[None]:
    """Raise what any library says of a bundle's graphs as a refusal of the bundle.

    Raises:
        ValueError: If a graph is none, or does not fit the others or the manifest.
        DeviceError: Of the runtime, unchanged: the bundle may be right.
    """
    try:
        yield
    except DeviceError:
        raise
    except Exception as error:
        problem = in_words(error)
        raise ValueError(
            f"bundle {bundle.name}: its graphs don't fit, export anew: {problem}"
        ) from error
