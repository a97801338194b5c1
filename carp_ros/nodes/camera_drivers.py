"""Creates the camera drivers that a rig file names: the one place that lists them."""

from __future__ import annotations

from carp_ros.hardware.camera import Camera
from carp_ros.rig import CellConfig, Rig


def driven_cameras(rig: Rig) -> tuple[str, ...]:
    """Return the names of the cameras that this package has a driver for."""
    return tuple(name for name, camera in rig.cameras.items() if camera.driver != "external")


def make_cameras(
    rig: Rig, names: tuple[str, ...], task: str, *, still: bool
) -> tuple[dict[str, Camera], ...]:
    """Return drivers for some cameras, not yet open, in groups that one thread reads in turn.

    Args:
        rig: The rig.
        names: Names of cameras that have a driver.
        task: Task whose objects are on the simulated table; empty: the rig file's.
        still: Whether a simulated camera repeats its first image.
    """
    from_cell = [name for name in names if rig.cameras[name].driver == "cell"]
    if not from_cell:
        return ()
    from carp_ros.sim.cell_camera import CellView  # only a simulated rig has MuJoCo
    from carp_ros.sim.tasks import task_named

    cell = rig.cell or CellConfig()
    view = CellView(rig, task_named(task or cell.task), still=still)
    return ({name: view.camera(name) for name in from_cell},)
