"""Renders the cell's cameras, and computes their intrinsics and poses."""

from __future__ import annotations

import os

import mujoco
import numpy as np
import numpy.typing as npt

from carp_ros.geometry import quaternion_from_matrix
from carp_ros.rig_cameras import optical_frame
from carp_ros.sim.cell import Cell
from carp_ros.sim.opengl import DEBIAN_PACKAGES
from carp_ros.types import Intrinsics, Pose

Image = npt.NDArray[np.uint8]

# MuJoCo's cameras look along -z with y up; optical frames look along z with y down.
_MUJOCO_FROM_OPTICAL = np.diag([1.0, -1.0, -1.0])


class Cameras:
    """Renders the cameras of a cell at the sizes in its rig.

    As OpenGL requires, it must be used and closed in the thread that created it.

    Args:
        cell: A cell with visuals.
        still: Whether to repeat each camera's first image, which costs no rendering time.

    Raises:
        ValueError: If the rig names a camera that the scene lacks, or this machine can't render.
    """

    def __init__(self, cell: Cell, *, still: bool = False) -> None:
        self._cell = cell
        self._stills: dict[str, Image] | None = {} if still else None
        self._sizes = {
            name: (camera.height_px, camera.width_px)
            for name, camera in cell.rig.cameras.items()
            if camera.driver == "cell"
        }
        known = [cell.model.camera(i).name for i in range(cell.model.ncam)]
        for name in self._sizes:
            if name not in known:
                raise ValueError(f"no camera {name!r} in the cell; expected {', '.join(known)}")
        # Cameras of one size share one off-screen buffer.
        self._renderers = {size: _renderer(cell.model, size) for size in self._sizes.values()}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the rendered cameras, as in the rig file."""
        return tuple(self._sizes)

    @property
    def rate_hz(self) -> float:
        """Rate of the fastest camera; 1 Hz if there is none, as a cell may have no cameras."""
        cameras = self._cell.rig.cameras
        return max((cameras[name].rate_hz for name in self._sizes), default=1.0)

    def render(self, name: str) -> Image:
        """Render a camera's image: RGB of shape (height, width, 3)."""
        if self._stills and name in self._stills:
            return self._stills[name]
        renderer = self._renderers[self._sizes[name]]
        renderer.update_scene(self._cell.data, camera=name)
        image = renderer.render()
        if self._stills is not None:
            self._stills[name] = image
        return image

    def intrinsics(self, name: str) -> Intrinsics:
        """Return a camera's intrinsics; there is no distortion."""
        height, width = self._sizes[name]
        fovy_rad = np.radians(self._cell.model.camera(name).fovy[0])
        focal = height / 2 / np.tan(fovy_rad / 2)
        matrix = np.array(
            [[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]]
        )
        return Intrinsics(width, height, matrix, optical_frame(name))

    def base_from_camera(self, name: str) -> Pose:
        """Return the pose of a camera's optical frame (x right, y down, z forward)."""
        camera = self._cell.data.camera(name)
        rotation = camera.xmat.reshape(3, 3) @ _MUJOCO_FROM_OPTICAL
        return Pose(camera.xpos.copy(), quaternion_from_matrix(rotation))

    def close(self) -> None:
        """Release the OpenGL context."""
        for renderer in self._renderers.values():
            renderer.close()


def _renderer(model: mujoco.MjModel, size: tuple[int, int]) -> mujoco.Renderer:
    backend = os.environ.get("MUJOCO_GL", "")
    remedy = (
        f"; on Debian or Ubuntu: apt-get install {DEBIAN_PACKAGES}, or libosmesa6 and"
        " MUJOCO_GL=osmesa"
    )
    if backend == "disable":
        raise ValueError("cannot draw the cell: neither EGL nor OSMesa is installed" + remedy)
    loaded = getattr(mujoco.GLContext, "__module__", "")
    if backend in ("egl", "osmesa") and loaded == "mujoco.glfw":
        raise ValueError(
            f"cannot draw the cell with MUJOCO_GL={backend}: mujoco was imported before it was set;"
            " import carp_ros.sim first"
        )
    try:
        renderer = mujoco.Renderer(model, *size)
    # MuJoCo's backends raise whatever the OpenGL bindings do; there is no common base class.
    except Exception as error:
        raise ValueError(
            f"cannot draw the cell with MUJOCO_GL={backend}: {error}{remedy}"
        ) from error
    # Shadows and reflections would take longer than everything else together.
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
    return renderer
