"""Every node of `carp_ros.bringup`: what the other launch files include with a task chosen."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from carp_ros.bringup import describe

ARGUMENTS = (
    ("rig", "ur5e_sim", "a rig's file, or the name of one in config/"),
    ("mode", "teleop", "who moves the arm: teleop, policy, or demonstrate (simulated cell)"),
    ("task", "", "what is done, and lies on a simulated table: cup or bowl; empty: as in the rig"),
    (
        "bundle",
        "",
        "for mode:=policy: the policy's folder or name in models/; empty: the task's own",
    ),
    ("record", "false", "true: start the recorder, which writes a bag an episode"),
    ("folder", "episodes", "where it puts them"),
)


def start_nodes(context):
    """Return one process a node; the system ends when one of them does."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    record = given.pop("record").lower() == "true"
    return [
        Node(
            package="carp_ros",
            executable=node.executable,
            name=node.name,
            parameters=[node.parameters],
            output="screen",
            emulate_tty=True,
            on_exit=Shutdown(reason=f"{node.name} ended"),
        )
        for node in describe(**given, record=record)
    ]


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start_nodes)])
