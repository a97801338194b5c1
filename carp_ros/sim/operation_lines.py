"""Requests and answers of a fault port, which real controllers lack, as lines of JSON.

A request is `{"op": name, ...arguments}`; the answer is `{"ok": true, ...}` or `{"ok": false,
"error": reason}`. The client is `faults.FaultClient`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from carp_ros.errors import CarpError
from carp_ros.types import Array

Operations = Mapping[str, Callable[..., "dict[str, Any] | None"]]
"""What a fault port can do, by name; each returns what its answer contains."""


class OperationLines:
    """The requests of one client.

    Args:
        operations: Called with the arguments of a request.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._rest = b""

    def receive(self, data: bytes) -> bytes:
        """Process the client's data; return one line for every complete line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return b"".join(json.dumps(self._answer(line)).encode() + b"\n" for line in lines)

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            arguments = json.loads(line)
            if not isinstance(arguments, dict):
                raise ValueError(f"request is {arguments!r}; expected an object with op")
            operation = self._operations[arguments.pop("op", None)]
            return {"ok": True, **(operation(**arguments) or {})}
        except KeyError as error:
            return {"ok": False, "error": f"no op {error}; known: {', '.join(self._operations)}"}
        except (ValueError, TypeError, CarpError) as error:
            return {"ok": False, "error": str(error)}


def push_of(wrench: list[float]) -> Array:
    """Return the wrench of an operation `push`, of shape (6,) in [N] and [Nm].

    Raises:
        ValueError: If it is not six finite numbers.
    """
    push = np.array(wrench, dtype=float)
    if push.shape != (6,) or not np.isfinite(push).all():
        raise ValueError(f"push is {wrench}; expected six finite numbers, in N and Nm")
    return push
