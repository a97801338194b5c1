"""The wrench that a Franka robot estimates, about its flange."""

from __future__ import annotations

import numpy as np

from carp_ros.types import Array


class FlangeWrench:
    """Moves wrenches from the robot's stiffness frame K to its flange.

    libfranka counts what the robot does to its environment as positive, and reports zeros near a
    singularity.

    Args:
        flange_from_ee: `F_T_EE`, of shape (4, 4).
        ee_from_k: `EE_T_K`, of shape (4, 4).
    """

    def __init__(self, flange_from_ee: Array, ee_from_k: Array) -> None:
        ee_from_flange = np.linalg.inv(flange_from_ee)
        self._ee_from_k = ee_from_k[:3, :3]
        self._flange_to_k_m = ee_from_k[:3, 3] - ee_from_flange[:3, 3]  # in the axes of EE

    def of(self, wrench: Array, base_from_ee: Array) -> Array:
        """Return what pushes the tool, about the flange in base axes, of shape (6,).

        Args:
            wrench: `K_F_ext_hat_K`, of shape (6,) in [N] and [Nm].
            base_from_ee: `O_T_EE`, of shape (4, 4).
        """
        rotation = base_from_ee[:3, :3]
        force, torque = -(self._ee_from_k @ wrench[:3]), -(self._ee_from_k @ wrench[3:])
        x, y, z = self._flange_to_k_m.tolist()
        fx, fy, fz = force.tolist()
        lever = np.array([y * fz - z * fy, z * fx - x * fz, x * fy - y * fx])
        return np.concatenate([rotation @ force, rotation @ (torque + lever)])
