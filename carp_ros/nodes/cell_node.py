"""ROS node: the simulated cell. Starts its controller, publishes what its cameras see.

Publishes:
    <camera>/image_raw (Image, rgb8) and <camera>/camera_info (CameraInfo), for each camera of the
    rig; stamped with the time of the physics that they show.
Services:
    cell/scatter (Trigger): lay the objects out anew, by the parameters `seed` and `level`, which
    may be set while it runs; the arm goes on undisturbed.
    cell/judge (Trigger): whether the task is done; the message says what is missing.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger

from carp_ros.errors import DeviceError
from carp_ros.processes.mailbox import remove_leftovers
from carp_ros.processes.parent import known_parent
from carp_ros.processes.ros_environment import IMAGES_PROFILE
from carp_ros.rig import CellConfig, Rig
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.messages import camera_info_to_msg, image_to_msg
from carp_ros.ros.parameter_rules import OneOf
from carp_ros.ros.params import fixed_parameter, rig_parameter
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import SENSOR
from carp_ros.sim.cameras import Cameras
from carp_ros.sim.cameras import Image as Picture
from carp_ros.sim.controllers import controller_command
from carp_ros.sim.faults import FaultClient
from carp_ros.sim.levels import LEVELS
from carp_ros.sim.live_cell import LiveCell, snapshot_name
from carp_ros.sim.tasks import TASKS, task_named
from carp_ros.strict import Between

_LEAVE_S = 4.5  # the controller lets whoever commands the arm bring it to rest


class CellNode(GuardedNode):
    """Renders snapshots of the physics that the emulated controller runs."""

    def __init__(self) -> None:
        super().__init__("cell_node")
        path, rig = rig_parameter(self)
        if rig.cell is None:
            raise ValueError(f"{path} has no section cell; this node is for simulated rigs alone")
        self._rig = rig
        task = fixed_parameter(
            self,
            "task",
            "",
            "What is on the table; empty: as in the rig's file",
            OneOf(("", *TASKS)),
        )
        self.rules.declare("seed", rig.cell.seed, "Of places and looks.", Between(0, 2**53))
        self.rules.declare("level", rig.cell.level, "How much is random.", OneOf(tuple(LEVELS)))
        self._controller = _start_controller(path, rig, task or rig.cell.task)
        self.get_logger().info(f"waiting for the emulated controller at {rig.arm.host}")
        self._await_ready()
        self._port = FaultClient(rig.arm.host, rig.cell.fault_port)
        self._live = LiveCell(rig, task_named(task or rig.cell.task), visuals=True)
        self._cameras = Cameras(self._live.cell)
        self._images = {
            name: self.create_publisher(Image, f"{name}/image_raw", SENSOR)
            for name in self._cameras.names
        }
        self._infos = {
            name: self.create_publisher(CameraInfo, f"{name}/camera_info", SENSOR)
            for name in self._cameras.names
        }
        still = fixed_parameter(
            self, "still", False, "Show what the cameras saw first, again and again: costs no time."
        )
        self._stills: dict[str, Picture] | None = {} if still else None
        self._shown_ns = 0
        self.create_timer(1.0 / self._cameras.rate_hz, self._on_frame)
        self.create_timer(0.5, self._check_controller)
        self.create_service(Trigger, "cell/scatter", self._on_scatter)
        self.create_service(Trigger, "cell/judge", self._on_judge)

    def destroy_node(self) -> None:
        """Stop the controller."""
        self._controller.terminate()
        try:
            self._controller.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            self._controller.kill()
            self._controller.wait()
        remove_leftovers()  # of a controller that could not
        super().destroy_node()

    def _await_ready(self) -> None:
        assert self._controller.stdout is not None
        line = self._controller.stdout.readline()
        if line.strip() != "READY":
            code = self._controller.wait()
            raise DeviceError(
                f"the emulated controller ended with exit code {code}; its message is above"
            )

    def _on_frame(self) -> None:
        self._live.update()
        shown_ns, stamp_ns = self._live.cell.time_ns, self._live.wall_ns
        if shown_ns == self._shown_ns:
            return  # the physics stood still: there is nothing new to see
        self._shown_ns = shown_ns
        # images first: a policy waits for the last of them
        for name in self._cameras.names:
            image = self._picture(name)
            self._images[name].publish(image_to_msg(image, stamp_ns, _frame(name)))
        for name in self._cameras.names:
            config, intrinsics = self._rig.cameras[name], self._cameras.intrinsics(name)
            self._infos[name].publish(
                camera_info_to_msg(
                    intrinsics, config.width_px, config.height_px, stamp_ns, _frame(name)
                )
            )

    def _picture(self, name: str) -> Picture:
        if self._stills is None:
            return self._cameras.render(name)
        if name not in self._stills:
            self._stills[name] = self._cameras.render(name)
        return self._stills[name]

    def _on_scatter(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        seed = self.get_parameter("seed").get_parameter_value().integer_value
        level = self.get_parameter("level").get_parameter_value().string_value
        try:
            self._port.scatter(seed, level)
            response.success = True
            response.message = f"seed {seed}, level {level}"
        except DeviceError as error:
            response.message = str(error)
        return response

    def _on_judge(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            verdict = self._port.judge()
            response.success = verdict["success"]
            response.message = "; ".join(verdict["reasons"])
        except DeviceError as error:
            response.message = str(error)
        return response

    def _check_controller(self) -> None:
        code = self._controller.poll()
        if code is not None:
            raise DeviceError(f"the emulated controller ended with exit code {code}")


def _frame(camera: str) -> str:
    return f"{camera}_optical_frame"


def _start_controller(path: Path, rig: Rig, task: str) -> subprocess.Popen[str]:
    """Start the process that owns the physics."""
    cell: CellConfig = rig.cell or CellConfig()
    command = [*controller_command(rig, path), "--task", task]
    command += ["--seed", str(cell.seed), "--level", cell.level]
    command += ["--fault-port", str(cell.fault_port), "--snapshot", snapshot_name(rig)]
    environment = {**os.environ, **known_parent()}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def main() -> None:
    """Run the cell until shutdown."""
    run_node(CellNode, profile=IMAGES_PROFILE)


if __name__ == "__main__":
    main()
