"""Starts every node of `carp_ros.system.bringup`; other launch files fix some of its arguments."""

import os
import sys
import time
from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    TimerAction,
)
from launch_ros.actions import Node

from carp_ros.processes.parent import HOLD, known_parent
from carp_ros.processes.restarts import Restarts
from carp_ros.system.bringup import LAUNCH_ARGUMENTS, describe, launch_values
from carp_ros.system.identity import SystemReservation

# Arguments that `ros2 launch` and launch itself handle, whatever is launched.
OF_LAUNCH = ("emulate_tty", "launch-prefix", "launch-prefix-filter", "sigkill_timeout")
OF_LAUNCH += ("sigterm_timeout", "use_sim_time")


class System:
    """The processes of one launched system; `start` returns the launch actions."""

    def __init__(self, nodes):
        self.identity = SystemReservation(nodes)  # held as long as this process lives
        self.restarts = {node.name: Restarts(node.name, essential=node.essential) for node in nodes}
        self.control = None

    def start(self):
        """Return the actions that start every node."""
        remark = [LogInfo(msg=self.identity.remark)] if self.identity.remark else []
        return remark + [self.action_of(node) for node in self.identity.nodes]

    def action_of(self, node):
        """Return the action that starts one node and handles its exit."""
        self.restarts[node.name].started(time.monotonic_ns())
        action = Node(
            package="carp_ros",
            executable=node.executable,
            name=node.name,
            namespace=node.namespace,
            parameters=[node.parameters],
            additional_env={**node.environment, **known_parent()},
            output="screen",
            emulate_tty=True,
            on_exit=lambda event, context: self.take_end(node, event.returncode, context),
        )
        if node.name == "control_node":
            self.control = action
        return action

    def take_end(self, node, returncode, context):
        """Return the actions after a node has exited."""
        if context.is_shutdown:
            return []
        verdict = self.restarts[node.name].ended(returncode, time.monotonic_ns())
        if verdict.fatal:
            # shuts the launch down in order and with exit code 1; `Shutdown` would give 0
            raise RuntimeError(verdict.text)
        self.hold()
        said = [LogInfo(msg=verdict.text)]
        if verdict.pause_s is None:
            return said
        again = OpaqueFunction(function=lambda _: [self.action_of(node)])
        return [*said, TimerAction(period=verdict.pause_s, actions=[again])]

    def hold(self):
        """Make the control node hold the arm."""
        details = self.control.process_details or {}
        if "pid" in details:
            os.kill(details["pid"], HOLD)


def description(**fixed):
    """Return a description that declares every argument except those that are fixed.

    A fixed argument with the prefix `default_` is declared with that default instead.
    """
    defaults = {name: default for name, default, _ in LAUNCH_ARGUMENTS}
    for name in [name for name in fixed if name.startswith("default_")]:
        defaults[name.removeprefix("default_")] = fixed.pop(name)
    offered = [entry for entry in LAUNCH_ARGUMENTS if entry[0] not in fixed]

    def start_nodes(context):
        given = dict(context.launch_configurations)
        if not started_from_here(context):  # the including file has arguments of its own
            names = {name for name, _, _ in LAUNCH_ARGUMENTS}
            given = {name: value for name, value in given.items() if name in names}
        given = {name: value for name, value in given.items() if name not in OF_LAUNCH}
        return System(describe(**launch_values(given, fixed))).start()

    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=defaults[name], description=text)
                for name, _, text in offered
            ),
            OpaqueFunction(function=start_nodes),
        ]
    )


def started_from_here(context):
    """Return whether the file given to `ros2 launch` is one of this folder."""
    own = {path.name for path in Path(__file__).parent.glob("*.launch.py")}
    return any(Path(argument).name in own for argument in sys.argv[1:])


def generate_launch_description():
    return description()
