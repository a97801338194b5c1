"""What a fault must do to a workstation: stop the arm, keep it still, and say why."""

import dataclasses
import time

import numpy as np

from carp_ros.types import Chunk

from ..patience import await_true

LAG_S = 0.08  # of servoJ's look-ahead, or of the impedance controller, and the controller's cycles
RESUME_JUMP_M = 1e-3


def stopping_distance(station, timeout_s: float, speed: float = 0.15) -> float:
    """What a stop within the limits takes, from a fault that is noticed after `timeout_s`."""
    brake = station.rig.limits.max_linear_acceleration_m_s2
    return speed * (timeout_s + LAG_S) + speed * speed / (2 * brake) + 5e-3


def assert_stops_and_stays(station, mark: int, timeout_s: float, speed: float = 0.15) -> None:
    """The arm came to rest soon after the trace's `mark`, and stays, whatever is asked of it."""
    station.await_standstill(timeout_s + 1.0)
    stop = station.trace.since(mark)
    assert stop.largest_excursion() < stopping_distance(station, timeout_s, speed)
    assert stop.speeds().max() < station.rig.limits.max_linear_speed_m_s * 1.1
    rest = len(station.trace.samples)
    time.sleep(0.5)  # hand and policy go on asking for motion
    assert station.trace.since(rest).largest_excursion() < RESUME_JUMP_M


def assert_says(station, *words: str) -> None:
    await_true(
        lambda: all(word in station.hands.arm_diagnostics for word in words),
        2.5,
        f"{words} in {station.hands.arm_diagnostics!r}",
    )


def assert_resumes_only_when_enabled(station) -> None:
    """Reset, stand, enable, stand, push, move: and no jump anywhere."""
    hands = station.hands
    moving, hands.twist = hands.twist, dataclasses.replace(hands.twist, linear=np.zeros(3))
    mark = len(station.trace.samples)
    time.sleep(0.6)  # the controller refuses to unlock earlier
    station.reset_fault()
    hands.twist = moving
    time.sleep(0.3)
    assert station.trace.since(mark).largest_excursion() < RESUME_JUMP_M
    hands.twist = dataclasses.replace(moving, linear=np.zeros(3))
    station.begin(lambda: station.trigger("select_teleop"))
    time.sleep(0.3)
    assert station.trace.since(mark).largest_excursion() < RESUME_JUMP_M
    mark = len(station.trace.samples)
    station.push((0.0, -0.1, 0.0))
    assert station.trace.since(mark).speeds().max() < 0.12


def mark_of(station) -> int:
    return len(station.trace.samples)


def circling(station, period_s: float = 4.0, radius_m: float = 0.06):
    """Return a policy that leads the tool around a circle that begins at home."""
    home = station.kinematics.tcp_pose(station.home)
    start_ns = station.hands.now_ns() + 300_000_000

    def make_chunk(now_ns: int) -> Chunk:
        times_ns = now_ns + np.arange(16) * 100_000_000
        ramp_s = np.clip((times_ns - start_ns) * 1e-9, 0.0, None)
        eased_s = np.where(ramp_s < 1.0, ramp_s**2 / 2, ramp_s - 0.5)
        angle = 2 * np.pi * eased_s / period_s
        offset = np.stack([np.cos(angle) - 1, np.sin(angle), 0 * angle], axis=1)
        return Chunk(
            stamp_ns=now_ns - 50_000_000,
            times_ns=times_ns,
            positions=home.position + radius_m * offset,
            quaternions=np.tile(home.quaternion, (16, 1)),
            gripper=np.zeros(16),
        )

    return make_chunk


def start_policy(station):
    """Let a policy move the arm until it really moves."""
    hands = station.hands
    hands.plugged, hands.deadman = True, False  # somebody could take over
    assert station.trigger("select_policy").success
    time.sleep(0.1)
    answer = station.enable()
    assert answer.success, answer.message
    hands.make_chunk = circling(station)
    try:
        await_true(lambda: station.trace.speed() > 0.05, 3.0, "a moving policy")
    except AssertionError:
        raise AssertionError(f"{hands.status} {hands.arm_diagnostics!r}") from None
