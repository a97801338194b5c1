"""Lets a person move the arm with the SpaceMouse; the rig names the task."""

import runpy
from pathlib import Path

SYSTEM = runpy.run_path(str(Path(__file__).with_name("system.launch.py")))


def generate_launch_description():
    return SYSTEM["description"](mode="teleop")
