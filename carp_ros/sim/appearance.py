"""Random colours, lights and camera mounts of an episode, determined by its seed and level."""

from __future__ import annotations

import colorsys
from collections.abc import Collection, Mapping

import mujoco
import numpy as np

from carp_ros.geometry import quaternion_from_rotvec
from carp_ros.sim.levels import Level

_ROOM = ("table", "floor")


class Appearance:
    """Randomises the appearance of a model, relative to the compiled one.

    Args:
        model: Of the cell.
        coloured: Materials of the task. They and the room's are varied; the robot keeps its
            manufacturer's colours.
    """

    def __init__(self, model: mujoco.MjModel, coloured: Collection[str]) -> None:
        self._model = model
        names = (model.material(i).name for i in range(model.nmat))
        self._materials = {
            i: name for i, name in enumerate(names) if name in coloured or name in _ROOM
        }
        self._rgba = model.mat_rgba.copy()
        self._light_position = model.light_pos.copy()
        self._light_diffuse = model.light_diffuse.copy()
        self._camera_position = model.cam_pos.copy()
        self._camera_quaternion = model.cam_quat.copy()  # wxyz, as MuJoCo's

    def randomise(
        self,
        rng: np.random.Generator,
        level: Level,
        colours: Mapping[str, tuple[float, float, float]],
    ) -> None:
        """Draw colours, lights and camera mounts, always in the same order.

        Args:
            rng: Random number generator.
            level: How much they vary.
            colours: Of materials that have other colours than usual.
        """
        model = self._model
        for material, name in self._materials.items():
            hue, saturation, value = colorsys.rgb_to_hsv(
                *colours.get(name, self._rgba[material, :3])
            )
            hue = (hue + level.hue * rng.uniform(-1, 1)) % 1.0
            value = min(1.0, value * (1.0 + level.brightness * rng.uniform(-1, 1)))
            model.mat_rgba[material, :3] = colorsys.hsv_to_rgb(hue, saturation, value)
        shift = level.light_m * rng.uniform(-1, 1, self._light_position.shape)
        model.light_pos[:] = self._light_position + shift
        gain = 1.0 + level.brightness * rng.uniform(-1, 1)
        model.light_diffuse[:] = np.clip(self._light_diffuse * gain, 0.0, 1.0)
        shift = level.camera_m * rng.uniform(-1, 1, self._camera_position.shape)
        model.cam_pos[:] = self._camera_position + shift
        for camera, nominal in enumerate(self._camera_quaternion):
            x, y, z, w = quaternion_from_rotvec(level.camera_rad * rng.uniform(-1, 1, 3))
            mujoco.mju_mulQuat(model.cam_quat[camera], nominal, np.array([w, x, y, z]))
