"""ROS node: reads the rig's cameras, whatever their drivers, and publishes their images.

One process may serve several cameras; cameras that share a device, such as all cameras of a
simulated cell, are read in turn by one thread.

Publishes:
    <camera>/image_raw (Image, rgb8) and <camera>/camera_info (CameraInfo), stamped with the
        exposure time (for a simulated camera: the time of the simulation state that it shows).
    <camera>/image_raw/compressed (CompressedImage, JPEG): the same images for people far away;
        compressed only while somebody subscribes.
    <camera>/depth/image_raw (Image, 16UC1, in mm, 0: unknown), for cameras with `depth: true`:
        aligned with the colour image, whose stamp and camera_info it shares.
    /diagnostics (DiagnosticArray): `camera: <name>`, 1 Hz.
Parameters:
    rig, rig_sha256, cameras (names separated by spaces; all: every camera of the rig that has a
        driver in this package), task (of a simulated cell), still (freezes simulated cameras).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from carp_ros.hardware.camera import CameraFrame
from carp_ros.hardware.image_faults import ImageWatch, in_sentences
from carp_ros.nodes.camera_drivers import driven_cameras, make_cameras
from carp_ros.nodes.camera_reader import CameraReader
from carp_ros.processes.ros_environment import IMAGES_PROFILE
from carp_ros.rig_cameras import has_depth
from carp_ros.rig_sections import TaskName
from carp_ros.ros.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher, status
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.messages import camera_info_to_msg, depth_to_msg, image_to_msg, jpeg_to_msg
from carp_ros.ros.parameter_rules import OneOf
from carp_ros.ros.params import cameras_parameter, fixed_parameter, rig_parameter
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import SENSOR
from carp_ros.types import Intrinsics


class CameraNode(GuardedNode):
    """Publishes the frames that `CameraReader` threads read."""

    def __init__(self) -> None:
        super().__init__("camera_node")
        rig = rig_parameter(self)
        names = cameras_parameter(
            self, driven_cameras(rig), "Cameras to read, separated by spaces; or all, or none."
        )
        task = fixed_parameter(
            self,
            "task",
            "",
            "Task whose objects are on the simulated table; empty: the rig file's.",
            OneOf(("", *get_args(TaskName))),
        )
        still = fixed_parameter(
            self,
            "still",
            False,
            "Simulated cameras repeat their first image, which costs no rendering time.",
        )
        self._images = {
            name: self.create_publisher(Image, f"{name}/image_raw", SENSOR) for name in names
        }
        self._infos = {
            name: self.create_publisher(CameraInfo, f"{name}/camera_info", SENSOR) for name in names
        }
        self._jpegs = {
            name: self.create_publisher(CompressedImage, f"{name}/image_raw/compressed", SENSOR)
            for name in names
        }
        self._depths = {
            name: self.create_publisher(Image, f"{name}/depth/image_raw", SENSOR)
            for name in names
            if has_depth(rig.cameras[name])
        }
        self._watches = {name: ImageWatch(has_noise=rig.cameras[name].has_noise) for name in names}
        self._diagnostics = DiagnosticsPublisher(self)
        self._readers = [
            CameraReader(group, self._publish_image, self._publish_info, self.get_logger().info)
            for group in make_cameras(rig, names, task, still=still)
        ]
        for reader in self._readers:
            reader.start()
        self.create_timer(0.25, self._on_watch)
        self.create_timer(1.0, self._on_second)

    def destroy_node(self) -> None:
        """Close the cameras."""
        for reader in self._readers:
            reader.stop()
        super().destroy_node()

    def _publish_image(self, name: str, frame: CameraFrame, info: Intrinsics) -> None:
        self._images[name].publish(image_to_msg(frame.image, frame.stamp_ns, info.frame))

    def _publish_info(self, name: str, frame: CameraFrame, info: Intrinsics) -> None:
        """Publish what may be a little later, once all images of a round are out."""
        self._infos[name].publish(camera_info_to_msg(info, frame.stamp_ns))
        if frame.depth is not None and name in self._depths:
            self._depths[name].publish(depth_to_msg(frame.depth, frame.stamp_ns, info.frame))
        if self._jpegs[name].get_subscription_count():
            self._jpegs[name].publish(jpeg_to_msg(frame.image, frame.stamp_ns, info.frame))
        self._watches[name].take(frame.image)

    def _on_watch(self) -> None:
        for reader in self._readers:
            reader.raise_failure()

    def _on_second(self) -> None:
        self._diagnostics.publish(
            [part for reader in self._readers for part in camera_statuses(reader, self._watches)]
        )


def camera_statuses(
    reader: CameraReader, watches: Mapping[str, ImageWatch]
) -> list[DiagnosticStatus]:
    """Return the diagnostic status of each camera in a group.

    Args:
        reader: Reads the group.
        watches: Judge the images, by camera name.
    """
    return [_camera_status(name, reader, watches[name]) for name in reader.counts]


def _camera_status(name: str, reader: CameraReader, watch: ImageWatch) -> DiagnosticStatus:
    counts, remarks, faults = reader.counts[name], reader.remarks[name], watch.faults
    values = {
        "frames": counts.frames,
        "lost": counts.lost,
        "image": " ".join(fault.name for fault in faults) if watch.judged else "not judged yet",
    }
    level, message = ERROR, reader.problem
    if not message:
        message = "; ".join(filter(None, (in_sentences(faults), *remarks)))
        level = WARN if message else OK
    return status(f"camera: {name}", level, message or "running", values)


def main() -> None:
    """Publish until shutdown."""
    run_node(CameraNode, profile=IMAGES_PROFILE)


if __name__ == "__main__":
    main()
