"""The recorder beside a person with the SpaceMouse; the table is as the rig says."""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

SYSTEM = PythonLaunchDescriptionSource(str(Path(__file__).with_name("system.launch.py")))


def generate_launch_description():
    preset = {"mode": "teleop", "record": "true"}
    included = IncludeLaunchDescription(SYSTEM, launch_arguments=preset.items())
    return LaunchDescription([included])
