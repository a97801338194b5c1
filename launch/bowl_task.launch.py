"""The bowl task: pick the smaller bowl, place it inside the pot.

The policy does it once enabled, or another agent chosen with `mode:=`.
"""

import runpy
from pathlib import Path

SYSTEM = runpy.run_path(str(Path(__file__).with_name("system.launch.py")))


def generate_launch_description():
    return SYSTEM["description"](task="bowl", default_mode="policy")
