"""The control node's entries on /diagnostics: the arm, the servo loop, the gripper."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticStatus

from carp_ros.control.arbiter import Arbiter
from carp_ros.control.realtime import count_later_than, lateness_quantile_s
from carp_ros.nodes.gripper_follower import GripperFollower
from carp_ros.reports.control import Fault, Reason
from carp_ros.ros.diagnostics import ERROR, OK, WARN, status
from carp_ros.servo.servo_keeper import ServoKeeper

_FULL_SPEED = 0.995


def arm_status(
    arbiter: Arbiter, keeper: ServoKeeper, refused: int, clock_jumps: int = 0
) -> DiagnosticStatus:
    """Return whether the arm may move, and if not, why.

    Args:
        arbiter: Decides whether the arm may move.
        keeper: Keeps the servo process.
        refused: How many messages the node rejected before they reached arbiter or servo.
        clock_jumps: How often this machine's clock jumped while the node was running.
    """
    name, state, decided = "control: arm", keeper.state, arbiter.status
    values = {
        "source": decided.source.value,
        "enabled": decided.enabled,
        "reason": (decided.why.code if decided.why else Reason.NONE).name,
        "refused_messages": refused,
        "last_refusal": arbiter.last_refusal,
        "clock_jumps": clock_jumps,
        "fault": arbiter.fault.name,
    }
    if state is None:
        message = arbiter.fault_text or f"waiting for {keeper.waiting_for}"
        return status(name, ERROR, message, values)
    values |= {
        "safety": state.safety.name,
        "speed_scaling": f"{state.speed_scaling:.2f}",
        "chunks_accepted": state.chunks_accepted,
        "chunks_refused": state.chunks_refused,
    }
    if arbiter.fault is not Fault.NONE:
        return status(name, ERROR, f"{arbiter.fault.name}: {arbiter.fault_text}", values)
    if not decided.enabled:
        return status(name, OK, decided.why.text if decided.why else "", values)
    refusal = f"; last refused: {arbiter.last_refusal}" if arbiter.last_refusal else ""
    slowed = state.speed_scaling < _FULL_SPEED
    pace = f" at {state.speed_scaling:.0%} of its speed, as the robot says" if slowed else ""
    level = WARN if refusal or slowed else OK
    return status(name, level, f"follows {decided.source.value}{pace}{refusal}", values)


def loop_status(keeper: ServoKeeper, wished_priority: int) -> DiagnosticStatus:
    """Return the timing of the servo loop."""
    name, state, lateness = "control: servo loop", keeper.state, keeper.lateness()
    if state is None or lateness is None:
        return status(name, WARN, "not running")
    counts = lateness["counts"]
    values = {
        "ticks": int(counts.sum()),
        "skipped": int(lateness["skipped"]),
        "later_than_0.5_ms": count_later_than(counts, 500_000),
        "later_than_1_ms": count_later_than(counts, 1_000_000),
        "p99_late_ms": f"{lateness_quantile_s(counts, 0.99) * 1e3:.3f}",
        "worst_late_ms": f"{int(lateness['worst_ns']) * 1e-6:.3f}",
        "priority": state.priority,
        "process": keeper.pid,
    }
    if state.priority < wished_priority:
        return status(name, WARN, keeper.note, values)
    return status(name, OK, "running", values)


def gripper_status(gripper: GripperFollower) -> DiagnosticStatus:
    """Return whether the gripper is connected, and its state."""
    if gripper.problem or gripper.state is None:
        return status("control: gripper", ERROR, gripper.problem)
    state = gripper.state
    values = {"closure": f"{state.closure:.2f}", "holding": state.holding}
    return status("control: gripper", OK, "connected", values)
