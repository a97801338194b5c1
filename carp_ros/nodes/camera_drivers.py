"""Which driver a rig's file asks for each camera: the one table of cameras."""

from __future__ import annotations

from carp_ros.hardware.camera import Camera
from carp_ros.rig import CellConfig, Rig


def driven_cameras(rig: Rig) -> tuple[str, ...]:
    """Return the names of the cameras that this package has a driver for."""
    return tuple(name for name, camera in rig.cameras.items() if camera.driver != "external")


def make_cameras(
    rig: Rig, names: tuple[str, ...], task: str, *, still: bool
) -> tuple[dict[str, Camera], ...]:
    """Return the drivers of some cameras, not yet open, in groups that one thread reads in turns.

    Args:
        rig: The rig.
        names: Of cameras for which there is a driver.
        task: What lies on a simulated table; empty: as in the rig's file.
        still: Whether a simulated camera shows what it saw first, again and again.
    """
    from_cell = [name for name in names if rig.cameras[name].driver == "cell"]
    if not from_cell:
        return ()
    from carp_ros.sim.cell_camera import CellView  # only a simulated rig has MuJoCo
    from carp_ros.sim.tasks import task_named

    cell = rig.cell or CellConfig()
    view = CellView(rig, task_named(task or cell.task), still=still)
    return ({name: view.camera(name) for name in from_cell},)
