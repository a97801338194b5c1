"""The cup task: find the cup, move it to the right of the table, put it down upright.

The policy does it once enabled, or another agent chosen with `mode:=`.
"""

import runpy
from pathlib import Path

SYSTEM = runpy.run_path(str(Path(__file__).with_name("system.launch.py")))


def generate_launch_description():
    return SYSTEM["description"](task="cup", default_mode="policy")
