"""The bowl task: pick the smaller bowl, place it inside the pot.

The policy does it, once it is enabled; or who else `mode:=` names.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

SYSTEM = PythonLaunchDescriptionSource(str(Path(__file__).with_name("system.launch.py")))


def generate_launch_description():
    mode = DeclareLaunchArgument("mode", default_value="policy", description="who moves the arm")
    included = IncludeLaunchDescription(SYSTEM, launch_arguments={"task": "bowl"}.items())
    return LaunchDescription([mode, included])
