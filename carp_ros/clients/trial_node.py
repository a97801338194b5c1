"""ROS node: conducts trials on the running simulated cell, as a person with a checklist would.

For each trial it sends the arm home, lays out the objects, enables the agent, waits until it is
done, and judges the result. Meanwhile it counts camera frames and late servo ticks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from carp_ros.clients.conductor_node import ConductorNode
from carp_ros.clients.trial_agents import ChunkFigures, OperatorAgent, TrialAgent
from carp_ros.errors import DeviceError
from carp_ros.inference.pixels import rgb_from_msg
from carp_ros.recording.stream_meter import StreamMeter
from carp_ros.reports.control import StoppedError
from carp_ros.rig import Rig
from carp_ros.ros.messages import time_from_msg
from carp_ros.ros.qos import SENSOR
from carp_ros.ros.spinning_node import ANSWER_S, SpinningNode, taking_part

CameraImage = npt.NDArray[np.uint8]

_SETTLE_S = 1.0
_IMAGE_PERIOD_S = 0.5
_SCATTERED_S = 0.15  # until the cameras show the new layout


@dataclass(frozen=True)
class StreamCount:
    """Frame counts of one camera in one trial."""

    received: int
    expected: int
    out_of_order: int


@dataclass(frozen=True)
class LiveTrial:
    """One trial in real time.

    Attributes:
        seed: Seed of the objects' places and appearance.
        success: Whether the task was done, judged after everything has settled.
        reasons: Why not, if it was not.
        seconds: From the agent's start until it let go or the task was done.
        cameras: Frame counts by camera name.
        ticks: Number of servo ticks.
        late_half_ms, late_1_ms: How many of them woke more than 0.5 ms and 1 ms late.
        policy: The policy's chunk statistics, if a policy acted.
        attempts: How often the trial was started: again if it stopped before the arm moved.
    """

    seed: int
    success: bool
    reasons: str
    seconds: float
    cameras: dict[str, StreamCount]
    ticks: int
    late_half_ms: int
    late_1_ms: int
    policy: ChunkFigures | None = None
    attempts: int = 1


class NotStartedError(StoppedError):
    """A trial was stopped before the arm moved, so it says nothing about the agent."""


def stopped_trial(seed: int, reason: str, attempts: int) -> LiveTrial:
    """Return the result of a trial that was stopped."""
    return LiveTrial(seed, False, reason, 0.0, {}, 0, 0, 0, attempts=attempts)


def trial_node(
    rig: Rig, make_agent: Callable[[SpinningNode], TrialAgent] = OperatorAgent
) -> AbstractContextManager[TrialNode]:
    """Join the ROS graph as a `TrialNode`; on exit the arm is stopped."""
    return taking_part(lambda: TrialNode(rig, make_agent))


class TrialNode(ConductorNode):
    """Conducts trials.

    Args:
        rig: The running simulated rig.
        make_agent: Creates the agent, given the node to use.
    """

    def __init__(
        self, rig: Rig, make_agent: Callable[[SpinningNode], TrialAgent] = OperatorAgent
    ) -> None:
        super().__init__("trial_node")
        self._agent = make_agent(self)
        self._meters = {name: StreamMeter(c.rate_hz) for name, c in rig.cameras.items()}
        self._images: dict[str, Image] = {}
        for name in rig.cameras:
            self.create_subscription(Image, f"{name}/image_raw", self._image_taker(name), SENSOR)
        self._moved = False  # since the agent began
        self._loop: dict[str, str] = {}
        self.create_subscription(DiagnosticArray, "diagnostics", self._on_diagnostics, 10)

    def explanation(self) -> str:
        """Return the explanations of the control node and the agent, for error texts."""
        says = [self.reason_text or "nothing", self._agent.explanation()]
        return f"; it says {', '.join(text for text in says if text)!r}"

    def conduct(
        self,
        seed: int,
        timeout_s: float,
        progress: Callable[[str], None],
        recording: AbstractContextManager[object] | None = None,
    ) -> tuple[LiveTrial, list[CameraImage]]:
        """Run one trial; return its result with its first, middle and last image.

        Args:
            seed: Seed of the objects' places and appearance.
            timeout_s: When to stop an agent that is not done.
            progress: Called with a short progress text, several times a second.
            recording: Context entered while the agent acts.

        Raises:
            UnmovedError: If the arm was not enabled, or was stopped before it moved.
            DeviceError: If the arm could not be sent home, was stopped during the trial, or a
                service does not answer.
        """
        progress("going home")
        self.go_home()
        loop, self._moved = dict(self._loop), False
        try:
            seconds, images = self._let_act(seed, timeout_s, progress, recording)
        except DeviceError as error:
            if self._moved:
                raise
            stopped = error if isinstance(error, StoppedError) else self.error_of(str(error))
            raise NotStartedError(str(error), stopped.reason, stopped.fault) from error
        cameras, policy = self._counts(), self._agent.figures()
        self.switch("control/enable", False)
        progress("judging")
        time.sleep(_SETTLE_S)
        verdict = self.call(Trigger, "cell/judge", Trigger.Request())
        trial = LiveTrial(
            seed,
            verdict.success,
            verdict.message,
            round(seconds, 2),
            cameras,
            *(
                int(self._loop.get(key, 0)) - int(loop.get(key, 0))
                for key in ("ticks", "later_than_0.5_ms", "later_than_1_ms")
            ),
            policy=policy,
        )
        return trial, [images[0], images[len(images) // 2], images[-1]]

    def _let_act(
        self,
        seed: int,
        timeout_s: float,
        progress: Callable[[str], None],
        recording: AbstractContextManager[object] | None,
    ) -> tuple[float, list[CameraImage]]:
        """Start the agent, wait until the trial is over, and return `_watch`'s result."""
        self._agent.begin(lambda: self._place_objects(seed))
        self.wait_until(lambda: self.enabled, ANSWER_S, "let the agent move")
        self._images.clear()
        for meter in self._meters.values():
            meter.reset()
        with recording or nullcontext():
            return self._watch(timeout_s, progress)

    def _place_objects(self, seed: int) -> None:
        self.set_parameters_of("cell_node", seed=seed)
        self.trigger("cell/scatter")
        time.sleep(_SCATTERED_S)

    def _watch(
        self, timeout_s: float, progress: Callable[[str], None]
    ) -> tuple[float, list[CameraImage]]:
        """Wait until the trial is over; return how long the agent acted, and images."""
        start_s = time.monotonic()
        images: list[CameraImage] = []
        while True:
            now_s = time.monotonic()
            if self._agent.is_over(now_s) or now_s - start_s > timeout_s:
                images.append(self._camera_images())
                return max(0.0, self._agent.acted_until_s - start_s), images
            if now_s - start_s >= len(images) * _IMAGE_PERIOD_S:
                images.append(self._camera_images())
                doing = "moving" if self.moving else "standing"
                progress(f"{now_s - start_s:4.1f} s, arm {doing}")
            self.require_listening()
            if not self.enabled:
                raise self.error_of(f"the trial was stopped: {self.reason_text}")
            time.sleep(0.05)

    def _camera_images(self) -> CameraImage:
        """Return the newest images of all cameras, stacked vertically."""
        self.wait_until(lambda: len(self._images) == len(self._meters), ANSWER_S, "show an image")
        return np.vstack([rgb_from_msg(self._images[name]) for name in self._meters])

    def _counts(self) -> dict[str, StreamCount]:
        now_ns = self.get_clock().now().nanoseconds
        return {
            name: StreamCount(meter.received, meter.expected(now_ns), meter.out_of_order)
            for name, meter in self._meters.items()
        }

    def _image_taker(self, name: str) -> Callable[[Image], None]:
        def take(msg: Image) -> None:
            self._meters[name].add(time_from_msg(msg.header.stamp))
            self._images[name] = msg

        return take

    def _on_status(self, msg: String) -> None:
        super()._on_status(msg)
        self._moved |= self.moving

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == "control: servo loop":
                self._loop = {pair.key: pair.value for pair in status.values}
