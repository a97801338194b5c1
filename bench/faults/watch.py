"""Watches a running simulated system from outside: where its arm is, and what may not happen."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import String

from carp_ros.clients.conductor_node import ConductorNode
from carp_ros.control.kinematics import Kinematics
from carp_ros.errors import DeviceError, MessageError
from carp_ros.processes.mailbox import SHARED_FOLDER
from carp_ros.reports.json_report import report_from_json
from carp_ros.reports.recorder import RecorderStatus
from carp_ros.rig import Rig
from carp_ros.ros.messages import time_from_msg
from carp_ros.ros.qos import EVENTS, SENSOR
from carp_ros.sim.live_cell import LiveCell, snapshot_name
from carp_ros.sim.tasks import task_named

_SAMPLE_S = 0.004
_WINDOW_S = 0.04
"""Speeds are measured over so much time of the physics: a sample alone is noise."""

_OVER = 1.1
_HELD_M, _FREED_S = 0.012, 0.3
"""So far off its aim the tool is held by what it touches: a free one lags half as far. Let go of,
it springs back for so long, faster than anybody told it to."""

_BOX_M = 0.005
_MOVING_M_S = 0.01
_QUALITY_S = 3.0
"""A recorder that records says so every second; what it said before it died is no news."""

_ACT_S = 14.0
"""How long the arm acts before it is sent home and begins anew."""


@dataclass(frozen=True)
class Sample:
    """Where the tool was: by its own clock, in the base frame, and when by this machine's clock.

    `aim` is where the motors pulled it to, as far as that is known.
    """

    time_s: float
    position: Any
    wall_s: float = 0.0
    aim: Any = None


class Watch(ConductorNode):
    """Lets the arm move, and sees what it does.

    Args:
        rig: The rig that runs.
        mode: Of the system: `policy` or `demonstrate`.
    """

    def __init__(self, rig: Rig, mode: str) -> None:
        super().__init__("faults_watch")
        self.rig, self.mode = rig, mode
        self.self_enabled: list[str] = []
        self.quality = RecorderStatus()
        self.problem = self._not_recorded = ""
        self._asked_s = self._began_s = self._quality_s = 0.0
        self._enabled = False
        self._seed = 0
        self._kinematics = Kinematics(rig.robot, rig.tool.flange_from_tcp)
        self._truth: deque[Sample] = deque(maxlen=60_000)
        self._told: deque[Sample] = deque(maxlen=60_000)
        self._heard_s = time.monotonic()
        self.create_subscription(PoseStamped, "tool_pose", self._on_tool, SENSOR)
        self.create_subscription(String, "recorder/quality", self._on_quality, EVENTS)
        self._ending = threading.Event()
        self._observer = threading.Thread(target=self._observe, daemon=True)
        self._observer.start()

    def stop(self) -> None:
        """Stop the arm and look no more."""
        self._ending.set()
        self._observer.join(2.0)
        super().stop()

    def mark(self) -> None:
        """Forget what was."""
        self._truth.clear()
        self._told.clear()
        self.self_enabled.clear()

    @property
    def position(self) -> Any:
        """Where the tool was last, or where it often is."""
        return self._told[-1].position if self._told else np.array([0.45, 0.0, 0.3])

    @property
    def silent_s(self) -> float:
        """For how long no tool pose has come."""
        return time.monotonic() - self._heard_s

    @property
    def is_recorded(self) -> bool:
        """Whether an episode is being recorded, as the recorder said a moment ago."""
        is_news = time.monotonic() - self._quality_s < _QUALITY_S
        return is_news and self.quality.phase == "recording"

    def moves(self) -> bool:
        """Tell whether the arm is allowed to move, and does."""
        if not (self.enabled and self.moving):
            return False
        recent = list(self._told)[-30:]
        if len(recent) < 10 or self.silent_s > 0.5:
            return False
        way = float(np.linalg.norm(recent[-1].position - recent[0].position))
        return way / max(recent[-1].time_s - recent[0].time_s, 1e-3) > _MOVING_M_S

    def ensure_moving(
        self, timeout_s: float = 45.0, runs: Callable[[], bool] = lambda: True
    ) -> bool:
        """Let the arm move and be recorded, whatever state it is in; tell whether it does.

        Args:
            timeout_s: How long to try.
            runs: Tells whether there is a system to try with.
        """
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s and runs():
            try:
                self._record()
                acting_s = time.monotonic() - self._began_s
                if not self.is_recorded:
                    self.problem = f"the recorder is {self.quality.phase}: {self._not_recorded}"
                elif self.moves() and acting_s < _ACT_S:
                    return True
                if not self.enabled or acting_s > 4.0:
                    self._begin_anew()
                time.sleep(0.1)
            except DeviceError as error:
                self.problem = str(error)
                time.sleep(0.3)
        return False

    def enable(self, on: bool) -> Any:
        """Ask for motion, or for none; that motion is then nobody's surprise."""
        if on:
            self._asked_s = time.monotonic()
        return self.switch("control/enable", on)

    def go_home(self) -> None:
        """Send the arm home, for which it is enabled by the control node itself."""
        self.expect_enabling()
        super().go_home()

    def expect_enabling(self) -> None:
        """Note that a case asks for motion itself."""
        self._asked_s = time.monotonic()

    def dangers(self) -> list[str]:
        """Return what happened since the mark that may not.

        Judged is the physics: a measured pose is as late as the packet that brought it, and a case
        may say one itself.
        """
        limit = self.rig.limits.max_linear_speed_m_s
        found = [f"enabled by itself: {text}" for text in self.self_enabled]
        low = np.array(self.rig.limits.workspace_min_m) - _BOX_M
        high = np.array(self.rig.limits.workspace_max_m) + _BOX_M
        if not self._truth and self.moves():
            found.append("the arm moves, and nobody sees its physics")
        truth = list(self._truth)  # another thread adds to it
        for what, speed in (("aim", fastest_aim(truth)), ("TCP", fastest(freely(truth)))):
            if speed > limit * _OVER + 0.005:
                found.append(f"{what} at {speed:.3f} m/s; limit {limit}")
        outside = [s for s in truth if ((s.position < low) | (s.position > high)).any()]
        if outside:
            found.append(f"TCP at {np.round(outside[0].position, 3).tolist()}")
        if any(not np.isfinite(s.position).all() for s in truth):
            found.append("a position that is not finite")
        return found

    def speeds(self) -> tuple[float, float]:
        """Return how fast the motors were told to move the tool, and how fast it was."""
        truth = list(self._truth)
        return fastest_aim(truth), fastest(truth)

    def _begin_anew(self) -> None:
        if self.enabled:
            self.enable(False)
        self.prepare()
        self.go_home()
        self._seed += 1
        if self.mode == "policy":
            self.trigger("control/select_policy")
            self._lay_out()
            time.sleep(0.7)  # the policy sees it first
            self.enable(True)
        else:
            self.trigger("control/select_teleop")
            self.enable(True)
            self._lay_out()
        self._began_s = time.monotonic()
        with suppress(DeviceError):
            self.wait_until(self.moves, 5.0, "move")

    def _lay_out(self) -> None:
        self.set_parameters_of("cell_node", seed=self._seed)
        self.trigger("cell/scatter")

    def _record(self) -> None:
        self._not_recorded = ""
        if not self.is_recorded:
            try:
                self.trigger("recorder/start")
            except DeviceError as error:  # one that ends says so in a moment
                self._not_recorded = str(error)

    def _on_status(self, msg: String) -> None:
        with suppress(MessageError):  # a case spoke in the control node's name
            super()._on_status(msg)
        enabled = self.enabled
        if enabled and not self._enabled and time.monotonic() - self._asked_s > 6.0:
            self.self_enabled.append(self.reason.name)
        self._enabled = enabled

    def _on_quality(self, msg: String) -> None:
        with suppress(MessageError):  # a case spoke in the recorder's name
            self.quality = report_from_json(RecorderStatus, msg.data, "recorder/quality")
            self._quality_s = time.monotonic()

    def _on_tool(self, msg: PoseStamped) -> None:
        if msg.header.frame_id != self.rig.robot.base_frame:
            return
        p = msg.pose.position
        self._heard_s = time.monotonic()
        self._told.append(
            Sample(time_from_msg(msg.header.stamp) * 1e-9, np.array([p.x, p.y, p.z]), self._heard_s)
        )

    def _observe(self) -> None:
        live, seen_ns = None, -1
        while not self._ending.wait(_SAMPLE_S):
            try:
                if live is None:
                    if not (SHARED_FOLDER / f"carp_{snapshot_name(self.rig)}").exists():
                        raise DeviceError("no cell runs")
                    live = LiveCell(self.rig, task_named("cup"), visuals=False)
                cell = live.update()
            except (DeviceError, OSError, ValueError):
                live = None
                self._ending.wait(0.2)
                continue
            if cell.time_ns != seen_ns:
                seen_ns = cell.time_ns
                position = cell.tcp_pose.position.copy()
                aim = self._kinematics.tcp_pose(cell.target_joints).position
                self._truth.append(Sample(seen_ns * 1e-9, position, live.wall_ns * 1e-9, aim))


def fastest(samples: list[Sample]) -> float:
    """Return the greatest speed over a short while, in [m/s]; a clock that was set begins anew."""
    most, first = 0.0, 0
    for place, sample in enumerate(samples):
        if place and not 0.0 < sample.time_s - samples[place - 1].time_s < 0.5:
            first = place
        while sample.time_s - samples[first].time_s > _WINDOW_S:
            # by whichever clock is slower: a physics that lags makes haste of what is none
            wall_s = sample.wall_s - samples[first].wall_s
            span_s = max(sample.time_s - samples[first].time_s, wall_s)
            way = float(np.linalg.norm(sample.position - samples[first].position))
            most = max(most, way / span_s)
            first += 1
    return most


def fastest_aim(samples: list[Sample]) -> float:
    """Return the greatest speed of what the motors pull to, in [m/s]."""
    return fastest([replace(sample, position=sample.aim) for sample in samples])


def freely(samples: list[Sample]) -> list[Sample]:
    """Return the samples but those in which the arm springs back from what held it."""
    found, held_s = [], -np.inf
    for sample in samples:
        if np.linalg.norm(sample.position - sample.aim) > _HELD_M:
            held_s = sample.time_s
        if not 0.0 <= sample.time_s - held_s < _FREED_S:
            found.append(sample)
    return found
