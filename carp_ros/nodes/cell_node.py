"""ROS node: the simulated cell. Starts its controller, lays out the objects and judges tasks.

`camera_node` publishes the images of its cameras.

Services:
    cell/scatter (Trigger): lay out the objects afresh according to the parameters `seed` and
        `level`, which may be set at run time; the arm is not disturbed. The message says what is
        asked for: what the seed chose, or the parameter `instruction`.
    cell/judge (Trigger): whether the task is done; if not, the message says what is missing.

Publishes:
    instruction (String): what is asked for, after each layout, if the task leaves a choice or the
        parameter `instruction` names it. Policies that take instructions follow it.
"""

from __future__ import annotations

import os
import subprocess
from typing import get_args

from std_msgs.msg import String
from std_srvs.srv import Trigger

from carp_ros.errors import DeviceError
from carp_ros.processes.mailbox import remove_leftovers
from carp_ros.processes.parent import known_parent
from carp_ros.rig import CellConfig, Rig
from carp_ros.rig_sections import LevelName, TaskName
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.parameter_rules import TEXT, OneOf
from carp_ros.ros.params import fixed_parameter, rig_parameter
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import COMMAND
from carp_ros.sim.controllers import controller_command, snapshot_name
from carp_ros.sim.faults import FaultClient
from carp_ros.sim.tasks import task_named
from carp_ros.strict import Between

_LEAVE_S = 4.5  # gives the arm's client time to bring it to rest


class CellNode(GuardedNode):
    """Runs the emulated controller's process, which simulates the physics, and relays requests."""

    def __init__(self) -> None:
        super().__init__("cell_node")
        rig = rig_parameter(self)
        if rig.cell is None:
            raise ValueError(
                f"{rig.file.path} has no section cell; this node is only for simulated rigs"
            )
        self._rig = rig
        task = fixed_parameter(
            self,
            "task",
            "",
            "Task that defines the objects on the table; empty: the rig file's.",
            OneOf(("", *get_args(TaskName))),
        )
        self.rules.declare(
            "seed", rig.cell.seed, "Seed of the objects' places and appearance.", Between(0, 2**53)
        )
        self.rules.declare(
            "level", rig.cell.level, "Level of randomisation.", OneOf(get_args(LevelName))
        )
        self.rules.declare("instruction", "", "What is asked for; empty: the seed's choice.", TEXT)
        task = task or rig.cell.task
        self._leaves_choice = not task_named(task).has_one_goal
        self._instructions = self.create_publisher(String, "instruction", COMMAND)
        self._controller = _start_controller(rig, task)
        self.get_logger().info(f"waiting for the emulated controller at {rig.arm.host}")
        self._await_ready()
        self._port = FaultClient(rig.arm.host, rig.cell.fault_port)
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
        remove_leftovers()  # of a controller that was killed
        super().destroy_node()

    def _await_ready(self) -> None:
        assert self._controller.stdout is not None
        line = self._controller.stdout.readline()
        if line.strip() != "READY":
            code = self._controller.wait()
            raise DeviceError(
                f"the emulated controller ended with exit code {code}; its message is above"
            )

    def _on_scatter(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        seed = self.get_parameter("seed").get_parameter_value().integer_value
        level = self.get_parameter("level").get_parameter_value().string_value
        given = self.get_parameter("instruction").get_parameter_value().string_value
        try:
            asked = self._port.scatter(seed, level, given)
            response.success = True
            response.message = f"seed {seed}, level {level}: {asked}"
            if given or self._leaves_choice:
                self._instructions.publish(String(data=asked))
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


def _start_controller(rig: Rig, task: str) -> subprocess.Popen[str]:
    """Start the process that simulates the physics."""
    cell: CellConfig = rig.cell or CellConfig()
    command = [*controller_command(rig), "--task", task]
    command += ["--seed", str(cell.seed), "--level", cell.level]
    command += ["--fault-port", str(cell.fault_port), "--snapshot", snapshot_name(rig)]
    environment = {**os.environ, **known_parent()}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def main() -> None:
    """Run the cell until shutdown."""
    run_node(CellNode)


if __name__ == "__main__":
    main()
