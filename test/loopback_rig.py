"""A rig's file for a whole simulated system on this machine."""

import os
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]


def write_rig(folder: Path, name: str = "ur5e_sim") -> Path:
    """Write a simulated rig's file with a loopback address of this process's own."""
    content = yaml.safe_load((REPOSITORY / "config" / f"{name}.yaml").read_text())
    pid = os.getpid()
    host = f"127.{200 + (pid >> 16) % 50}.{(pid >> 8) % 256}.{pid % 254 + 1}"
    content["arm"]["host"] = content["gripper"]["host"] = host
    # the cameras are a thread beside the test: they may be late on a busy machine
    content["limits"]["camera_timeout_s"] = 0.5
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
