"""The recorder and a rig that is only messages, for tests."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from carp_ros.benchmarks.recorder import synthetic_rig
from carp_ros.clients.recorder_client import RecorderClient, recorder_client
from carp_ros.system.bringup import NodeProcess
from carp_ros.system.running_system import RunningSystem

from .conftest import REPOSITORY


def show(*words: str) -> None:
    """Write what a node said to where pytest shows it if the test fails."""
    sys.stdout.write(": ".join(words) + "\n")


@contextmanager
def running_recorder(folder: Path) -> Iterator[tuple[RunningSystem, RecorderClient]]:
    """Bring up the synthetic rig and the recorder; episodes go to `folder`/episodes."""
    content = yaml.safe_load((REPOSITORY / "config" / "ur5e_sim.yaml").read_text())
    for camera in content["cameras"].values():
        camera |= {"width_px": 160, "height_px": 120}
    path = folder / "ur5e_sim.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    nodes = (
        synthetic_rig(path),
        NodeProcess(
            "recorder_node", "recorder_node", {"rig": str(path), "folder": str(folder / "episodes")}
        ),
    )
    with RunningSystem(nodes, show) as system, recorder_client() as recorder:
        recorder.activate()
        time.sleep(1.5)  # until the streams have found their way
        yield system, recorder


def writer_of(system: RunningSystem) -> int:
    pid = system.pid("recorder_node")
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
