"""The quality of a demonstration's motion: pauses, clipped input, limits, faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from carp_ros.geometry import pose_difference
from carp_ros.recording.findings import Finding, Thresholds
from carp_ros.rig import Rig
from carp_ros.types import Array, Pose, Twist

_FULL = 0.99  # of the teleoperation's full speed


class MotionQuality:
    """Judges when and how the tool moved.

    Args:
        rig: Its teleoperation speeds and workspace are used.
        thresholds: When a fault counts.
    """

    def __init__(self, rig: Rig, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._teleop = rig.teleop
        self._low = np.array(rig.limits.workspace_min_m) + thresholds.edge_m
        self._high = np.array(rig.limits.workspace_max_m) - thresholds.edge_m
        self._tool: Pose | None = None
        self._closure: float | None = None
        self._first_ns: int | None = None
        self._last_ns = 0
        self._twists = self._clipped = 0
        self._target_ns: int | None = None
        self._edge_ns = 0
        self._faults: dict[str, str] = {}
        self.motions = 0

    def take_tcp_pose(self, stamp_ns: int, tool: Pose) -> None:
        """Add a measured tool pose."""
        if self._tool is None:
            self._tool = tool
            return
        step = pose_difference(self._tool, tool)
        limits = self._thresholds
        if (
            np.linalg.norm(step[:3]) > limits.motion_m
            or np.linalg.norm(step[3:]) > limits.motion_rad
        ):
            self._tool = tool
            self.motions += 1
            self._moved(stamp_ns)

    def take_gripper(self, stamp_ns: int, closure: float) -> None:
        """Add a measured gripper closure."""
        if self._closure is None:
            self._closure = closure
        elif abs(closure - self._closure) > self._thresholds.motion_gripper:
            self._closure = closure
            self._moved(stamp_ns)

    def take_target(self, stamp_ns: int, position: Array) -> None:
        """Add a commanded tool position, of shape (3,) in [m]."""
        at_edge = bool((position < self._low).any() or (position > self._high).any())
        if at_edge and self._target_ns is not None:
            self._edge_ns += max(0, stamp_ns - self._target_ns)
        self._target_ns = stamp_ns

    def take_twist(self, twist: Twist) -> None:
        """Add a velocity that the operator asks for."""
        linear = float(np.linalg.norm(twist.linear)) / self._teleop.linear_speed_m_s
        angular = float(np.linalg.norm(twist.angular)) / self._teleop.angular_speed_rad_s
        fastest = max(linear, angular)
        self._twists += fastest > 0.0
        self._clipped += fastest >= _FULL

    def take_status(self, status: Mapping[str, Any]) -> None:
        """Add a `control/status`, whose faults are kept."""
        fault = str(status.get("fault", "NONE"))
        if fault != "NONE":
            self._faults.setdefault(fault, str(status.get("fault_text", "")))

    def findings(self, began_ns: int, now_ns: int) -> Iterator[Finding]:
        """Yield the motion's faults in an episode from `began_ns` to `now_ns`."""
        limits = self._thresholds
        for fault, text in self._faults.items():
            yield Finding("red", f"fault {fault}: {text}")
        yield from self._idle(began_ns, now_ns)
        if self._clipped > limits.clipped_share * self._twists:
            share = self._clipped / self._twists
            yield Finding("amber", f"operator asked for full speed {share:.0%} of the moving time")
        if self._edge_ns * 1e-9 > limits.edge_s:
            seconds = self._edge_ns * 1e-9
            yield Finding("amber", f"the workspace's border held the tool back for {seconds:.1f} s")

    def _idle(self, began_ns: int, now_ns: int) -> Iterator[Finding]:
        if self._first_ns is None:
            yield Finding("red", "nothing moved")
            return
        for span_ns, where in (
            (self._first_ns - began_ns, "before the first motion"),
            (now_ns - self._last_ns, "after the last motion"),
        ):
            if span_ns * 1e-9 > self._thresholds.idle_s:
                yield Finding("amber", f"{span_ns * 1e-9:.1f} s of standing still {where}")

    def _moved(self, stamp_ns: int) -> None:
        if self._first_ns is None:
            self._first_ns = stamp_ns
        self._last_ns = stamp_ns
