"""Shows a running rig in RViz: /tf from its joint states, and the shipped configuration."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch_ros.actions import Node

from carp_ros.system.view import description_of

CONFIG = Path(__file__).parents[1] / "config" / "carp.rviz"


def start(context):
    description = description_of(context.launch_configurations["rig"])
    return [
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            name="robot_state_publisher",
            parameters=[{"robot_description": description}],
        ),
        Node(package="rviz2", executable="rviz2", name="rviz2", arguments=["-d", str(CONFIG)]),
    ]


def generate_launch_description():
    rig = DeclareLaunchArgument(
        "rig", default_value="ur5e_sim", description="The rig that is running: a name or a file."
    )
    return LaunchDescription([rig, OpaqueFunction(function=start)])
