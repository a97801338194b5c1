"""The measured wrench at the tool: from the flange, in base axes, to the TCP in its own axes."""

from __future__ import annotations

import numpy as np

from carp_ros.geometry import invert, matrix_from_quaternion
from carp_ros.types import Array, Pose


class WrenchAtTcp:
    """Moves wrenches from the flange to the tool centre point (TCP).

    Args:
        flange_from_tcp: Pose of the TCP in the flange frame.
    """

    def __init__(self, flange_from_tcp: Pose) -> None:
        self._tcp_to_flange_m = invert(flange_from_tcp).position  # in the TCP's axes

    def of(self, wrench: Array, base_from_tcp: Pose) -> Array:
        """Return a wrench about the TCP in the TCP's axes, of shape (6,) in [N] and [Nm].

        Args:
            wrench: About the flange's origin in base axes, of shape (6,) in [N] and [Nm].
            base_from_tcp: The tool's pose at that time.
        """
        rotation = matrix_from_quaternion(base_from_tcp.quaternion)
        force, torque = wrench[:3] @ rotation, wrench[3:] @ rotation
        return np.concatenate([force, torque + np.cross(self._tcp_to_flange_m, force)])

    def at_flange(self, wrench: Array, base_from_tcp: Pose) -> Array:
        """Return the inverse of `of`: from the TCP in its axes to the flange in base axes."""
        rotation = matrix_from_quaternion(base_from_tcp.quaternion)
        torque = wrench[3:] - np.cross(self._tcp_to_flange_m, wrench[:3])
        return np.concatenate([rotation @ wrench[:3], rotation @ torque])
