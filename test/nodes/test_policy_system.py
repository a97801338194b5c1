"""A policy that moves the simulated arm, brought up as `carp up --mode policy` does it."""

import os
import time
from dataclasses import replace

import pytest
from geometry_msgs.msg import PoseStamped

from carp_ros.clients.trial_agents import PolicyNodeAgent
from carp_ros.clients.trial_node import trial_node
from carp_ros.reports.control import Reason
from carp_ros.rig import load_rig
from carp_ros.ros.qos import SENSOR
from carp_ros.system.bringup import describe
from carp_ros.system.running_system import RunningSystem

from ..patience import await_true, on_a_busy_machine
from ..tiny_bundle import DRIFT_M, STEP_S
from .recorder_system import show

pytestmark = pytest.mark.realtime

TRIAL_S = 4.0


def conducted(node, poses):
    node.prepare()
    poses.clear()
    return node.conduct(seed=1, timeout_s=TRIAL_S, progress=lambda text: None)


def with_still_images(node):
    """The policy here sees no more than brightness, and a busy machine is late in drawing."""
    if node.name != "camera_node":
        return node
    return replace(node, parameters={**node.parameters, "still": True})


def test_a_policy_moves_the_arm_and_its_death_stops_it(rig_path, tiny_bundle):
    poses: list[float] = []
    nodes = describe(str(rig_path), "policy", bundle=str(tiny_bundle))
    nodes = tuple(with_still_images(node) for node in nodes)
    with (
        RunningSystem(nodes, show) as system,
        trial_node(load_rig(rig_path), PolicyNodeAgent) as node,
    ):
        system.wait_until_ready(60.0)
        node.create_subscription(
            PoseStamped, "tool_pose", lambda msg: poses.append(msg.pose.position.x), SENSOR
        )
        trial, images = on_a_busy_machine(lambda: conducted(node, poses))
        moved_m = poses[-1] - min(poses)
        # each chunk begins where the tool was seen, which is behind where it is by then
        assert 0.3 < moved_m / (TRIAL_S * DRIFT_M / STEP_S) < 1.2
        assert not trial.success
        assert trial.policy is not None
        assert trial.policy.chunks > 10
        median_ms = {name: stage["p50"] for name, stage in trial.policy.latency_ms.items()}
        total_ms = median_ms.pop("total")
        assert median_ms.pop("image_age") >= 0.0  # transport and wait
        assert min(median_ms.values()) >= 0.0
        assert total_ms == pytest.approx(sum(median_ms.values()), rel=0.3)
        assert len(images) == 3

        node.trigger("control/select_policy")
        node.switch("control/enable", True)
        await_true(lambda: node.moving, 3.0, "the policy moves the arm")
        os.kill(system.pid("policy_node"), 9)
        # whoever started it tells the arm to hold, before the last chunk ends
        await_true(lambda: not node.enabled, 4.0, "motion is off")
        assert node.reason is Reason.PROCESS_DIED
        await_true(lambda: not node.moving, 1.0, "the arm stands")
        before = poses[-1]
        time.sleep(0.5)
        assert abs(poses[-1] - before) < 1e-3
