"""ROS node: runs the policy on observations and publishes action chunks. Does not move the arm.

Subscribes:
    <camera>/image_raw (Image), for each camera that the policy uses; joint_states (JointState),
        tool_pose (PoseStamped), gripper_state (Float64); wrench (WrenchStamped) if its state has
        it; control/followed (String): which plan the arm follows; target_pose and gripper_command
        if the policy uses the commands sent to the arm;
        instruction (String): the task in words, for policies that take any, from the next plan on.
Publishes:
    gripper_chunk (JointTrajectory), then chunk (MultiDOFJointTrajectory): the plan; both stamped
        with the observation's capture time.
    policy/confidence (Float64): the policy's confidence, if it has one.
    policy/inference (String): JSON of `carp_ros.reports.inference.InferenceReport` for each chunk.
    /diagnostics (DiagnosticArray): `policy: chunks`, 1 Hz: latencies, counts, and why no chunk is
        sent.
Parameters:
    rig, bundle (folder), task (empty: the bundle's only one), replan_s (time from one plan to the
        next; 0: the bundle's), deadline_s (from capture to chunk; 0: none), runtime (rtx, tensorrt,
        torch, cuda or cpu; auto: the fastest available), threads (per operator on the CPU);
        instruction (as the topic; may change at any time).

Configuring loads the bundle, checks it against its golden case and warms up; a bundle that is
refused ends the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64, String
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from carp_ros.errors import CarpError, DeviceError, UsageError
from carp_ros.inference.bundle import load_bundle
from carp_ros.inference.observation import ObservationBuffer
from carp_ros.inference.pixels import rgb_from_msg
from carp_ros.nodes.arrivals import Arrivals
from carp_ros.nodes.instructions import Instructions
from carp_ros.policies.inference_log import InferenceLog
from carp_ros.policies.inference_scheduler import (
    InferenceRequest,
    InferenceResult,
    InferenceScheduler,
    NoChunk,
    Refusal,
)
from carp_ros.policies.load import load_policy
from carp_ros.policies.policy import Policy
from carp_ros.recording.message_reader import require_closure, require_command
from carp_ros.reports.control import ChunkStart
from carp_ros.reports.inference import InferenceReport
from carp_ros.reports.json_report import report_from_json, report_to_json
from carp_ros.ros.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher, status
from carp_ros.ros.managed_node import ManagedNode
from carp_ros.ros.messages import (
    chunk_to_msgs,
    joints_from_msg,
    pose_from_msg,
    recent_stamp_ns,
    wrench_from_msg,
)
from carp_ros.ros.parameter_rules import NOT_EMPTY, OneOf
from carp_ros.ros.params import fixed_parameter, rig_parameter
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import COMMAND, SENSOR
from carp_ros.runtimes import AUTO, RUNTIMES, choose_runtime
from carp_ros.strict import Between
from carp_ros.types import Chunk

_TICK_S = 0.02
_HISTORY_S = 0.5  # twice the largest camera latency
_INFERENCE_S = 10.0  # longer than any inference takes
_REPLY_S = 0.3  # allows the reply to a transition to be sent, and resent if needed
_SOON_NS = 50_000_000  # the largest age of a 30 Hz frame when a plan becomes due


class PolicyNode(ManagedNode):
    """Feeds messages to an `ObservationBuffer` and runs a policy on its observations."""

    def __init__(self) -> None:
        super().__init__("policy_node")
        cv2.setNumThreads(1)  # leave the other cores to other processes
        self._rig = rig_parameter(self)
        bundle = fixed_parameter(self, "bundle", "", "Folder of the compiled policy.", NOT_EMPTY)
        self._folder = Path(bundle)
        self._task = fixed_parameter(self, "task", "", "Task to do; empty: the bundle's only one.")
        self._replan_s = fixed_parameter(
            self,
            "replan_s",
            0.0,
            "Time from one plan to the next [s]; 0: the bundle's.",
            Between(0.0, 10.0),
        )
        self._deadline_s = fixed_parameter(
            self,
            "deadline_s",
            0.0,
            "Longest time from capture to chunk [s]; 0: none.",
            Between(0.0, 10.0),
        )
        self._runtime = fixed_parameter(
            self, "runtime", AUTO, "Runtime of the graphs.", OneOf((AUTO, *RUNTIMES))
        )
        self._threads = fixed_parameter(
            self, "threads", 1, "CPU threads per operator.", Between(1, 256)
        )
        self._instructions = Instructions(self, self._follow)
        self._was_configured = False
        self._fatal: Exception | None = None
        self._said: NoChunk | None = None
        self._inferring: Future[None] | None = None
        self._encoding: dict[str, Future[None]] = {}  # by camera
        self._arrivals = Arrivals()
        self._lock = threading.Lock()  # guards the log, which the inference thread writes
        self._worker = ThreadPoolExecutor(1, "policy")

    def configure(self) -> None:
        """Load the policy and subscribe to its inputs.

        Raises:
            DeviceError: If the bundle is refused.
        """
        policy = self._loaded()
        spec, shown = policy.spec, policy.spec.observation
        cameras = tuple(spec.cameras)
        # older bundles name no reference: their frames were captured with the rig's first camera
        reference = shown.reference or next(name for name in self._rig.cameras if name in cameras)
        history_s = _HISTORY_S + (shown.history - 1) * shown.history_step_s
        self._buffer = ObservationBuffer(
            cameras, reference, shown.skew_s, history_s, wrench=spec.state.has_wrench
        )
        self._shown = shown
        self._scheduler = InferenceScheduler(
            policy,
            self._rig.limits,
            self._replan_s or None,
            self._deadline_s,
            time.monotonic_ns,
            self._now_ns,
        )
        if self._instructions.text:
            self._scheduler.instruct(self._instructions.text)
        self._log = InferenceLog(self._rig.limits, spec.step_s)
        self._gripper_chunks = self.create_publisher(JointTrajectory, "gripper_chunk", COMMAND)
        self._chunks = self.create_publisher(MultiDOFJointTrajectory, "chunk", COMMAND)
        self._confidence = self.create_publisher(Float64, "policy/confidence", SENSOR)
        self._inference = self.create_publisher(String, "policy/inference", SENSOR)
        self._diagnostics = DiagnosticsPublisher(self)
        self._subscribe(cameras, wrench=spec.state.has_wrench)
        self.create_timer(_TICK_S, self._on_tick)
        self.create_timer(1.0, self._on_second)
        self._was_configured = True

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configure; if the bundle is refused the first time, the process ends."""
        result = super().on_configure(state)
        if self._fatal is not None:  # a transition cannot end the process itself
            self.create_timer(_REPLY_S, partial(_raise, self._fatal))
        return result

    def activate(self) -> None:
        """Start sending chunks."""
        self._scheduler.restart()

    def deactivate(self) -> None:
        """Stop sending chunks; blocks until no inference is running."""
        self._rest()

    def cleanup(self) -> None:
        """Drop the policy and all observations."""
        self._rest()
        for encoding in self._encoding.values():
            encoding.exception(_INFERENCE_S)
        self._encoding.clear()
        self._arrivals.clear()
        for name in ("_scheduler", "_buffer"):
            self.__dict__.pop(name, None)

    def destroy_node(self) -> None:
        """Wait for the inference thread to end before its publishers are destroyed."""
        self._worker.shutdown()
        super().destroy_node()

    def _follow(self, instruction: str) -> None:
        if "_scheduler" in self.__dict__:  # else when it is configured
            self._scheduler.instruct(instruction)

    def _loaded(self) -> Policy:
        """Return the policy.

        Raises:
            DeviceError: If the bundle is refused. Retrying cannot fix that: unless the node was
                configured before, the process ends once the transition has been answered.
        """
        try:
            return self._load()
        except (ValueError, CarpError) as error:
            self._fatal = None if self._was_configured else error
            raise DeviceError(str(error)) from error

    def _load(self) -> Policy:
        bundle = load_bundle(self._folder)
        bundle.require_rig(self._rig)
        task = bundle.spec.task_named(self._task)
        began_s = time.monotonic()
        choice = choose_runtime(self._runtime, self._threads)
        self.get_logger().info(f"runtime {choice}")
        policy = load_policy(
            self._folder,
            task,
            time.monotonic_ns,
            runtime=choice.runtime,
            rig=self._rig,
        )
        self.get_logger().info(
            f"bundle {bundle.name} ({bundle.sha256[:12]}) for {task} reproduces its"
            f" golden case; ready after {time.monotonic() - began_s:.1f} s"
        )
        return policy

    def _subscribe(self, cameras: tuple[str, ...], *, wrench: bool) -> None:
        subscribe = self.create_subscription
        for name in cameras:
            subscribe(Image, f"{name}/image_raw", self._image_taker(name), SENSOR)
        subscribe(JointState, "joint_states", self._take_joints, SENSOR)
        subscribe(PoseStamped, "tool_pose", self._take_tcp_pose, SENSOR)
        subscribe(Float64, "gripper_state", self._take_gripper, SENSOR)
        if wrench:
            subscribe(WrenchStamped, "wrench", self._take_wrench, SENSOR)
        subscribe(String, "control/followed", self._take_followed, SENSOR)
        if self._scheduler.executed:
            subscribe(PoseStamped, "target_pose", self._take_target, SENSOR)
            subscribe(Float64, "gripper_command", self._take_command, SENSOR)

    def _image_taker(self, name: str) -> Callable[[Image], None]:
        def take(msg: Image) -> None:
            image = rgb_from_msg(msg)  # a view: unused images cost nothing
            now_ns = self._now_ns()
            stamp_ns = recent_stamp_ns(msg.header.stamp, now_ns)
            self._arrivals.take(name, stamp_ns, now_ns)
            self._buffer.take_image(name, stamp_ns, image)
            self._encode_if_soon(name, stamp_ns, image)
            self._infer_if_due()

        return take

    def _take_joints(self, msg: JointState) -> None:
        joints = joints_from_msg(msg, self._rig.robot.joint_names)
        self._buffer.take_joints(recent_stamp_ns(msg.header.stamp, self._now_ns()), joints)
        self._infer_if_due()

    def _take_tcp_pose(self, msg: PoseStamped) -> None:
        tool = pose_from_msg(msg, self._rig.robot.base_frame)
        self._buffer.take_tcp_pose(recent_stamp_ns(msg.header.stamp, self._now_ns()), tool)
        self._infer_if_due()

    def _take_wrench(self, msg: WrenchStamped) -> None:
        wrench = wrench_from_msg(msg)
        self._buffer.take_wrench(recent_stamp_ns(msg.header.stamp, self._now_ns()), wrench)
        self._infer_if_due()

    def _take_gripper(self, msg: Float64) -> None:
        self._buffer.take_gripper(self._now_ns(), require_closure(msg.data))
        self._infer_if_due()

    def _take_followed(self, msg: String) -> None:
        followed = report_from_json(ChunkStart, msg.data, "control/followed")
        self._scheduler.followed(followed.stamp_ns, followed.late_ns)

    def _take_target(self, msg: PoseStamped) -> None:
        assert self._scheduler.executed
        target = pose_from_msg(msg, self._rig.robot.base_frame)
        stamp_ns = recent_stamp_ns(msg.header.stamp, self._now_ns())
        self._scheduler.executed.take_target(stamp_ns, target)

    def _take_command(self, msg: Float64) -> None:
        assert self._scheduler.executed
        self._scheduler.executed.take_gripper(self._now_ns(), require_command(msg.data))

    def _encode_if_soon(self, camera: str, stamp_ns: int, image: npt.NDArray[np.uint8]) -> None:
        """Start encoding an image right away if the next plan will probably use it.

        Its observation is complete only once later measurements have arrived; encoding uses that
        waiting time. An image is skipped while the previous one of its camera is being encoded.
        """
        if not self._is_idle() or not self._scheduler.is_near(_SOON_NS):
            return
        encoding = self._encoding.get(camera)
        if encoding is None or encoding.done():
            if encoding is not None:
                encoding.result()  # re-raises any error
            encode = self._scheduler.encode_image
            self._encoding[camera] = self._worker.submit(encode, camera, stamp_ns, image)

    def _infer_if_due(self) -> None:
        """Run the policy if a plan is due and the newest observation is complete."""
        if self._scheduler.is_due(self._buffer.newest_ns or None) and self._is_idle():
            self._start_inference()

    def _on_tick(self) -> None:
        if self._scheduler.is_overdue() and self._is_idle():
            self._start_inference()

    def _is_idle(self) -> bool:
        """Return whether an inference may start: the node is active and none is running."""
        if self._inferring is not None and self._inferring.done():
            inferring, self._inferring = self._inferring, None
            inferring.result()  # re-raises any error
        return self.is_active and self._inferring is None

    def _start_inference(self) -> None:
        """Start inference on the newest observation, or log why there is none."""
        history_step_ns = round(self._shown.history_step_s * 1e9)
        observations = self._buffer.recent(self._shown.history, history_step_ns)
        request = self._scheduler.request(observations, self._buffer.slowest)
        if isinstance(request, Refusal):
            with self._lock:
                self._log.refuse(request)
            return
        transport_s = self._arrivals.transport_s(request.observations[-1])
        self._inferring = self._worker.submit(self._infer, request, transport_s)

    def _infer(self, request: InferenceRequest, transport_s: float) -> None:
        """Run the policy and publish its chunk; runs on the inference thread."""
        result = self._scheduler.infer(request)
        with self._lock:
            self._log.take(result)
        if self.is_active and result.chunk is not None:
            self._publish(result, result.chunk, transport_s)
        else:
            self._scheduler.failed()

    def _publish(self, result: InferenceResult, chunk: Chunk, transport_s: float) -> None:
        poses, gripper = chunk_to_msgs(chunk, self._rig.robot.base_frame)
        self._gripper_chunks.publish(gripper)  # first, because the chunk triggers the motion
        self._chunks.publish(poses)
        prediction = result.prediction
        assert prediction is not None
        if "confidence" in prediction.figures:
            self._confidence.publish(Float64(data=prediction.figures["confidence"]))
        report = InferenceReport(
            chunk.stamp_ns,
            result.stage_seconds,
            transport_s,
            dict(prediction.figures),
            prediction.reduced,
            prediction.notes,
            prediction.encoded_ahead,
        )
        self._inference.publish(String(data=report_to_json(report)))

    def _on_second(self) -> None:
        with self._lock:
            refusal, figures = self._log.refusal, self._log.figures()
            notes = self._log.notes
        if not self.is_active:
            level, message = OK, "not active"
        elif refusal:
            level, message = ERROR, f"no chunk: {refusal.text}"
            if refusal.code != self._said:
                self.get_logger().info(f"no chunk: {refusal.text}")
        elif notes:
            level, message = WARN, "; ".join(notes)
        else:
            level, message = OK, "sending chunks" if self._log.sent else "asks the policy"
        self._said = refusal.code if refusal else None
        self._diagnostics.publish([status("policy: chunks", level, message, figures)])

    def _rest(self) -> None:
        """Block until no inference is running."""
        if self._inferring is not None:
            self._inferring.exception(_INFERENCE_S)
            self._inferring = None

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds


def _raise(error: Exception) -> None:
    raise UsageError(str(error)) from error


def main() -> None:
    """Run the node until shutdown."""
    run_node(PolicyNode)


if __name__ == "__main__":
    main()
