"""The whole simulated workstation, brought up as `carp up` does it."""

import ipaddress
import os
import sys
import time
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray

from carp_ros.clients.trial_node import trial_node
from carp_ros.rig import load_rig
from carp_ros.system.bringup import describe
from carp_ros.system.running_system import RunningSystem

from ..patience import await_true, on_a_busy_machine
from ..sockets import descendants, sockets_of

pytestmark = pytest.mark.realtime


def show(*words: str) -> None:
    """Write what a node said to where pytest shows it if the test fails."""
    sys.stdout.write(": ".join(words) + "\n")


def conducted(node):
    node.prepare()
    return node.conduct(seed=1, timeout_s=40.0, progress=show)


def test_an_episode_over_ros_and_a_dead_control_node_is_named(rig_path):
    rig = load_rig(rig_path)
    messages: dict[str, str] = {}

    def on_diagnostics(msg: DiagnosticArray) -> None:
        for status in msg.status:
            messages[status.name] = status.message

    nodes = describe(str(rig_path), "demonstrate")
    with RunningSystem(nodes, show) as system:
        system.wait_until_ready(60.0)
        pids = [pid for node in nodes for pid in descendants(system.pid(node.name))]
        addresses = {address for pid in pids for _, address in sockets_of(pid)}
        assert rig.arm.host in addresses  # the emulated controller's ports are among them
        assert all(ipaddress.ip_address(address).is_loopback for address in addresses), addresses
        with trial_node(rig) as node:
            trial, images = on_a_busy_machine(lambda: conducted(node))
            assert trial.success, trial.reasons
            assert all(camera.out_of_order == 0 for camera in trial.cameras.values())
            assert all(camera.received > 0 for camera in trial.cameras.values())
            assert trial.ticks > 1000
            assert len(images) == 3

            node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 10)
            os.kill(system.pid("control_node"), 9)
            await_true(
                lambda: "control_node" in messages.get("supervisor: system", ""),
                12.0,
                f"the supervisor names the dead node: {messages}",
            )
    time.sleep(0.1)
    assert not [p for p in Path("/dev/shm").glob(f"carp_cell_{rig.arm.host}")]
