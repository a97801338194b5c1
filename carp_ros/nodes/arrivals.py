"""When images arrived at a node: how long they took from their capture."""

from __future__ import annotations

from carp_ros.types import Observation

_KEPT = 64  # per camera: more than any observation's age, in frames


class Arrivals:
    """Remembers when the newest images of each camera arrived."""

    def __init__(self) -> None:
        self._arrived_ns: dict[str, dict[int, int]] = {}  # by camera and capture stamp

    def take(self, camera: str, stamp_ns: int, now_ns: int) -> None:
        """Add an image that was captured at `stamp_ns`."""
        of_camera = self._arrived_ns.setdefault(camera, {})
        of_camera[stamp_ns] = now_ns
        if len(of_camera) > _KEPT:
            del of_camera[next(iter(of_camera))]

    def transport_s(self, observation: Observation) -> float:
        """Return the time from an observation's stamp to the arrival of its last image, in [s]."""
        captures_ns = observation.image_stamps_ns.items()
        arrived_ns = [self._arrived_ns[name].get(stamp_ns, 0) for name, stamp_ns in captures_ns]
        return 1e-9 * (max(arrived_ns) - observation.stamp_ns)

    def clear(self) -> None:
        """Forget all images."""
        self._arrived_ns.clear()
