"""Creates the camera drivers that a rig file names: the one place that lists them."""

from __future__ import annotations

from carp_ros.hardware.calibrated_camera import CalibratedCamera
from carp_ros.hardware.camera import Camera
from carp_ros.nodes.ros_time import RosTime
from carp_ros.rig import CellConfig, Rig
from carp_ros.rig_cameras import CameraConfig, OpenCvCameraConfig, RealSenseCameraConfig

_DEVICES = "/dev/"


def driven_cameras(rig: Rig) -> tuple[str, ...]:
    """Return the names of the cameras that this package has a driver for."""
    return tuple(name for name, camera in rig.cameras.items() if camera.driver != "external")


def make_cameras(
    rig: Rig, names: tuple[str, ...], task: str, *, still: bool
) -> tuple[dict[str, Camera], ...]:
    """Return drivers for some cameras, not yet open, in groups that one thread reads in turn.

    What was measured of a camera replaces what its driver says.

    Args:
        rig: The rig.
        names: Names of cameras that have a driver.
        task: Task whose objects are on the simulated table; empty: the rig file's.
        still: Whether a simulated camera repeats its first image.
    """

    def calibrated(name: str, camera: Camera) -> Camera:
        return CalibratedCamera(name, camera, rig.calibrated, rig.cameras[name].latency_s)

    alone = tuple(
        {name: calibrated(name, _device_camera(name, rig.cameras[name]))}
        for name in names
        if rig.cameras[name].driver != "cell"
    )
    from_cell = [name for name in names if rig.cameras[name].driver == "cell"]
    if not from_cell:
        return alone
    from carp_ros.sim.cell_camera import CellView  # only a simulated rig has MuJoCo
    from carp_ros.sim.tasks import task_named

    cell = rig.cell or CellConfig()
    view = CellView(rig, task_named(task or cell.task), still=still)
    return ({name: calibrated(name, view.camera(name)) for name in from_cell}, *alone)


def _device_camera(name: str, config: CameraConfig) -> Camera:
    """Return the driver of a camera that is a device, or a recording in its place."""
    if isinstance(config, OpenCvCameraConfig):
        from carp_ros.hardware.opencv_camera import OpenCvCamera
        from carp_ros.hardware.video_file import VideoFileCamera

        driver = OpenCvCamera if config.device.startswith(_DEVICES) else VideoFileCamera
        return driver(name, config, RosTime().at)
    if isinstance(config, RealSenseCameraConfig):
        from carp_ros.hardware.realsense import RealSenseCamera

        return RealSenseCamera(name, config, RosTime().at)
    raise ValueError(f"cameras.{name}: driver {config.driver} has no images to read here")
