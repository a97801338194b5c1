"""The policy over ROS, before a rig that is only messages."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64, String
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from carp_ros.inference.layout import vector_from_tcp_pose
from carp_ros.rig import load_rig
from carp_ros.ros.executor import CachedWaitSetExecutor
from carp_ros.ros.messages import (
    chunk_from_msgs,
    image_to_msg,
    joints_to_msg,
    pose_to_msg,
    time_from_msg,
)
from carp_ros.ros.qos import COMMAND, SENSOR
from carp_ros.share import share_folder
from carp_ros.types import Pose

from ..patience import await_true
from ..tiny_bundle import actions_for, log_likelihood

pytestmark = pytest.mark.realtime

RIG = share_folder() / "config" / "ur5e_sim.yaml"
TOOL = Pose(np.array([0.4, 0.1, 0.3]), np.array([1.0, 0.0, 0.0, 0.0]))
CLOSURE = 0.5
MS = 1_000_000


class FakeRig(Node):
    """Publishes what a rig does, as old as told, and listens to the policy."""

    def __init__(self) -> None:
        super().__init__("fake_rig")
        self.rig = load_rig(RIG)
        self.age_ns = 0
        self.silent: set[str] = set()
        self.frame = self.rig.robot.base_frame
        self.stamps_ns: list[int] = []
        self.events: list[str] = []
        self.chunks: list = []
        self.inferences: list[dict] = []
        self.confidences: list[float] = []
        self.said: dict = {}
        image = np.zeros((48, 64, 3), np.uint8)
        self._image = image
        self._images = {
            name: self.create_publisher(Image, f"{name}/image_raw", SENSOR)
            for name in self.rig.cameras
        }
        self._joints = self.create_publisher(JointState, "joint_states", SENSOR)
        self._tool = self.create_publisher(PoseStamped, "tool_pose", SENSOR)
        self._gripper = self.create_publisher(Float64, "gripper_state", SENSOR)
        subscribe = self.create_subscription
        subscribe(JointTrajectory, "gripper_chunk", self._on_gripper_chunk, COMMAND)
        subscribe(MultiDOFJointTrajectory, "chunk", self._on_chunk, COMMAND)
        subscribe(String, "policy/inference", self._on_inference, SENSOR)
        subscribe(Float64, "policy/confidence", self._on_confidence, SENSOR)
        subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.create_timer(1 / 30, self._on_frame)
        self.create_timer(0.01, self._on_state)
        self.create_timer(0.04, self._on_gripper)

    def now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _on_frame(self) -> None:
        stamp_ns = self.now_ns() - self.age_ns
        self.stamps_ns.append(stamp_ns)
        for name, publisher in self._images.items():
            if name not in self.silent:
                publisher.publish(image_to_msg(self._image, stamp_ns, name))

    def _on_state(self) -> None:
        names, stamp_ns = self.rig.robot.joint_names, self.now_ns()
        zeros = np.zeros(len(names))
        self._joints.publish(joints_to_msg(names, zeros, zeros, stamp_ns, self.frame))
        if "tool_pose" not in self.silent:
            self._tool.publish(pose_to_msg(TOOL, stamp_ns, self.frame))

    def _on_gripper(self) -> None:
        self._gripper.publish(Float64(data=CLOSURE))

    def _on_gripper_chunk(self, msg: JointTrajectory) -> None:
        self.events.append("gripper")
        self._gripper_msg = msg

    def _on_chunk(self, msg: MultiDOFJointTrajectory) -> None:
        self.events.append("chunk")
        self.chunks.append(chunk_from_msgs(msg, self._gripper_msg, self.frame))
        self.stamp_of_chunk_ns = time_from_msg(msg.header.stamp)

    def _on_inference(self, msg: String) -> None:
        self.inferences.append(json.loads(msg.data))

    def _on_confidence(self, msg: Float64) -> None:
        self.confidences.append(msg.data)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == "policy: chunks":
                values = {pair.key: pair.value for pair in status.values}
                self.said = {"message": status.message, "level": status.level, **values}


class Running:
    """The policy node's process and the rig before it."""

    def __init__(self, bundle) -> None:
        self.rig = FakeRig()
        self._executor = CachedWaitSetExecutor()
        self._executor.add_node(self.rig)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self.process = start(bundle)

    def transition(self, number: int, name: str = "policy_node") -> bool:
        client = self.rig.create_client(ChangeState, f"{name}/change_state")
        assert client.wait_for_service(20.0), f"no {name}"
        request = ChangeState.Request(transition=Transition(id=number))
        future = client.call_async(request)
        await_true(future.done, 30.0, f"transition {number}")
        self.rig.destroy_client(client)
        return future.result().success

    def await_chunks(self, count: int = 1) -> None:
        before = len(self.rig.chunks)
        await_true(lambda: len(self.rig.chunks) >= before + count, 10.0, f"chunks: {self.rig.said}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10.0)
        self._executor.shutdown()
        self._thread.join(2.0)
        self.rig.destroy_node()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return


def start(bundle, name="policy_node") -> subprocess.Popen:
    command = [sys.executable, "-m", "carp_ros.nodes.policy_node", "--ros-args"]
    command += ["-r", f"__node:={name}", "-p", f"rig:={RIG}", "-p", f"bundle:={bundle}"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def running_node(tiny_bundle) -> Iterator[Running]:
    rclpy.init()
    running = Running(tiny_bundle)
    try:
        assert running.transition(Transition.TRANSITION_CONFIGURE)
        yield running
    finally:
        running.stop()
        rclpy.shutdown()


@pytest.fixture
def running(running_node) -> Iterator[Running]:
    """An active node before a rig without faults."""
    running_node.rig.age_ns, running_node.rig.silent = 0, set()
    assert running_node.transition(Transition.TRANSITION_ACTIVATE)
    yield running_node
    assert running_node.transition(Transition.TRANSITION_DEACTIVATE)


def test_chunks_carry_the_capture_stamp_and_what_the_graphs_say(running):
    running.await_chunks(3)
    rig = running.rig
    chunk = rig.chunks[-1]
    assert chunk.stamp_ns in rig.stamps_ns
    expected = actions_for(vector_from_tcp_pose(TOOL, CLOSURE))
    np.testing.assert_allclose(chunk.positions, expected[:, :3], atol=1e-5)
    np.testing.assert_allclose(chunk.gripper, CLOSURE, atol=1e-5)
    assert (chunk.times_ns - chunk.stamp_ns == np.arange(16) * 100 * MS).all()
    assert rig.confidences[-1] == pytest.approx(log_likelihood(3))


def test_the_gripper_goes_ahead_of_each_chunk(running):
    running.await_chunks(3)
    assert running.rig.events[:6] == ["gripper", "chunk"] * 3


def test_a_chunk_comes_with_how_long_each_stage_took(running):
    running.await_chunks(2)
    await_true(lambda: running.rig.inferences, 2.0, "a report")
    said = running.rig.inferences[-1]
    assert set(said["seconds"]) == {"image_age", "preprocess", "vision", "decode", "total"}
    assert said["seconds"]["total"] < 0.5
    assert 0.0 < said["transport_s"] <= said["seconds"]["image_age"]
    assert (said["figures"]["scales_done"], said["reduced"], said["notes"]) == (3, False, [])
    assert said["stamp_ns"] in running.rig.stamps_ns


def test_images_are_looked_at_when_they_come_and_not_when_the_policy_is_asked(running):
    running.await_chunks(5)
    await_true(lambda: running.rig.inferences, 2.0, "a report")
    assert max(said["encoded_ahead"] for said in running.rig.inferences[-5:]) == 2


def test_chunks_come_at_their_rate_and_diagnostics_have_the_latencies(running):
    running.await_chunks()
    before, begin_s = len(running.rig.chunks), time.monotonic()
    time.sleep(3.0)
    rate_hz = (len(running.rig.chunks) - before) / (time.monotonic() - begin_s)
    assert rate_hz == pytest.approx(5.0, abs=1.0)
    said = running.rig.said
    assert (said["message"], said["level"]) == ("sending chunks", b"\0")
    for stage in ("image_age", "preprocess", "vision", "decode", "total"):
        assert float(said[f"{stage}_ms_p50"]) <= float(said[f"{stage}_ms_p99"])
    assert int(said["steps_past_on_arrival"]) >= 1
    assert (said["over_budget"], said["reduced"]) == ("0", "0")


def test_stale_images_lead_to_no_chunk_and_the_diagnostics_say_so(running):
    running.await_chunks()
    running.rig.age_ns = 450 * MS
    await_true(lambda: "s old (limit 0.4 s" in running.rig.said["message"], 3.0, "stale")
    assert running.rig.said["level"] == b"\2"
    count = len(running.rig.chunks)
    time.sleep(0.6)
    assert len(running.rig.chunks) == count
    running.rig.age_ns = 0
    running.await_chunks()


@pytest.mark.parametrize(
    ("stream", "reason"),
    [("third_cam", "image of third_cam"), ("tool_pose", "tool pose")],
)
def test_a_stream_that_falls_silent_is_named(running, stream, reason):
    running.await_chunks()
    running.rig.silent = {stream}
    await_true(lambda: reason in running.rig.said["message"], 3.0, reason)
    count = len(running.rig.chunks)
    time.sleep(0.6)
    assert len(running.rig.chunks) == count


def test_an_inactive_node_sends_nothing(running):
    running.await_chunks()
    assert running.transition(Transition.TRANSITION_DEACTIVATE)
    time.sleep(0.2)
    count = len(running.rig.chunks)
    time.sleep(0.6)
    assert len(running.rig.chunks) == count
    assert running.transition(Transition.TRANSITION_ACTIVATE)
    running.await_chunks()


def test_a_node_that_was_cleaned_up_comes_back(running):
    assert running.transition(Transition.TRANSITION_DEACTIVATE)
    assert running.transition(Transition.TRANSITION_CLEANUP)
    assert running.transition(Transition.TRANSITION_CONFIGURE)
    assert running.transition(Transition.TRANSITION_ACTIVATE)
    running.await_chunks(2)


def test_a_bundle_that_is_refused_ends_the_process_with_the_reason(running_node, tmp_path):
    process = start(tmp_path, name="refused")
    assert not running_node.transition(Transition.TRANSITION_CONFIGURE, "refused")
    _, errors = process.communicate(timeout=10.0)
    assert process.returncode == 1
    assert f"no policy.yaml in {tmp_path}; expected the folder of an exported policy" in errors
    assert "Traceback" not in errors
