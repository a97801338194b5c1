"""Decides which source may move the arm: none, teleoperation, a policy, homing, a person's hand.

Each motion begins with an operator's explicit enable for one source. A fault, the loss of that
source, a change of source or a stop ends it, and only a new enable begins the next. The reason why
the arm is not moving is always available.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carp_ros.control.command import Command, ServoState
from carp_ros.control.servo import ServoMode
from carp_ros.reports.control import Fault, Reason, Source, Why
from carp_ros.rig import LimitsConfig
from carp_ros.types import Twist

_MODES = {
    Source.HOLD: ServoMode.HOLD,
    Source.TELEOP: ServoMode.TWIST,
    Source.POLICY: ServoMode.CHUNK,
    Source.HOME: ServoMode.JOINTS,
    Source.HAND: ServoMode.GUIDE,
}
_HELD_BY_BUTTON = (Source.TELEOP, Source.HAND)
_STANDSTILL = Twist(np.zeros(3), np.zeros(3))
_DEADMAN_TIMEOUT_S = 0.25
_REFUSALS_UNTIL_STOP = 5
_TAKE_OVER_TIMEOUT_S = 0.5  # longer than the dead-man's: it only tells that someone could take over
_FIRST_CHUNK_TIMEOUT_S = 2.0
_CLEARED_NS = 200_000_000  # a robot that rejects targets after a reset reports it within this time
_BEGUN_NS = 100_000_000  # within this time of an enable the servo has seen and reported it


@dataclass(frozen=True)
class Status:
    """The arbiter's decision: `source`, whether it is `enabled`, and if not, `why`."""

    source: Source
    enabled: bool
    why: Why | None


class Arbiter:
    """Turns operator requests and incoming messages into commands for the servo.

    It is the single source of the active fault: the servo process latches the faults it detects,
    the arbiter latches the loss of that process, and one reset clears both.

    Args:
        limits: The rig's limits.
        cameras: Names of the cameras that the policy uses.
        watch_take_over: Whether to stop the policy when no operator could take over any more.
        reset_s: How long a reset may take, including powering up the arm.
    """

    def __init__(
        self,
        limits: LimitsConfig,
        cameras: tuple[str, ...],
        *,
        watch_take_over: bool = True,
        reset_s: float = 80.0,
    ) -> None:
        self._limits = limits
        self._watch_take_over = watch_take_over
        self._reset_ns = round(reset_s * 1e9)
        self._camera_ns: dict[str, int | None] = dict.fromkeys(cameras)
        self._source = Source.HOLD
        self._enabled = False
        self._why: Why | None = Why(
            Reason.NOT_ENABLED, "not enabled yet: select a source and enable"
        )
        self._enabled_ns = 0
        self._enables = 0
        self._resets = 0
        self._resets_done = 0
        self._reset_asked_ns: int | None = None
        self._reset_failed = False
        self._cleared_ns: int | None = None
        self._lost = ""
        self._servo_fault, self._servo_text = Fault.NONE, ""
        self._twist, self._twist_ns, self._gripper = _STANDSTILL, 0, 0.0
        self._deadman = False
        self._deadman_ns: int | None = None
        self._refused, self._accepted = 0, 0
        self._refused_in_a_row = 0
        self._following = False
        self.last_refusal = ""

    @property
    def status(self) -> Status:
        """The current decision."""
        return Status(self._source, self._enabled, self._why)

    @property
    def fault(self) -> Fault:
        """The latched fault; NONE if there is none."""
        return Fault.SERVO_LOST if self._lost else self._servo_fault

    @property
    def fault_text(self) -> str:
        """Description of `fault`; empty if there is none."""
        return self._lost or self._servo_text

    def select(self, source: Source) -> None:
        """Choose the source that may move the arm next; stops the current motion."""
        self.disable(Why(Reason.SELECTED, f"{source.value} selected: enable to begin"))
        self._source = source

    def enable(self, now_ns: int) -> Why | None:
        """Let the selected source move the arm; return the reason if this is refused."""
        if self.fault is not Fault.NONE:
            return Why(Reason.FAULT, f"{self.fault_text}: reset the fault first", self.fault)
        if self._resets > self._resets_done:
            return Why(Reason.RESETTING, "the servo is still resetting: enable again in a moment")
        if self._source is Source.HOLD:
            return Why(
                Reason.NO_SOURCE, "no source is selected: select teleop, policy, hand or home first"
            )
        if self._source is Source.POLICY:
            hindrance = self._stale_camera(now_ns) or self._no_take_over(now_ns)
            if hindrance:
                return hindrance
        self._enables += 1
        self._enabled, self._enabled_ns, self._why = True, now_ns, None
        self._refused_in_a_row = 0
        self._following = False
        self._twist, self._twist_ns = _STANDSTILL, now_ns
        self._deadman = False  # a dead-man pressed before this enable does not count
        self.last_refusal = ""
        return None

    def disable(self, why: Why) -> None:
        """Stop the current motion and record why."""
        self._enabled, self._why = False, why

    def lose_servo(self, problem: str) -> None:
        """Record the loss of the servo process; motion stays off until a reset."""
        self._lost = problem
        self._reset_failed = True  # the next process will report the pending reset as done
        self._servo_fault, self._servo_text = Fault.NONE, ""
        self.disable(Why(Reason.SERVO_LOST, problem))

    def reset(self, now_ns: int) -> None:
        """Request a fault reset; `reset_outcome` returns its result."""
        self._resets += 1
        self._reset_asked_ns, self._reset_failed, self._cleared_ns = now_ns, False, None
        self.disable(Why(Reason.FAULT_RESET, "fault reset: enable to begin"))

    def reset_outcome(self, now_ns: int) -> str | None:
        """Return the result of the reset, once: empty if no fault is latched, else the reason.

        None while the reset is in progress or if none was requested.
        """
        if self._reset_asked_ns is None:
            return None
        taken_ns = now_ns - self._reset_asked_ns
        if self._reset_failed or self._resets_done >= self._resets:
            self._cleared_ns = self._cleared_ns or now_ns
            if not self.fault and now_ns - self._cleared_ns < _CLEARED_NS:
                return None
            outcome = str(Why(Reason.FAULT, self.fault_text, self.fault)) if self.fault else ""
        elif taken_ns > self._reset_ns:
            text = f"the servo process did not reset within {taken_ns * 1e-9:.0f} s"
            outcome = str(Why(Reason.RESETTING, text))
        else:
            return None
        self._reset_asked_ns = None
        return outcome

    def take_deadman(self, pressed: bool, now_ns: int) -> None:
        """Take one heartbeat of the operator's dead-man switch."""
        self._deadman, self._deadman_ns = pressed, now_ns

    def take_twist(self, twist: Twist, twist_ns: int) -> None:
        """Take the operator's twist, given at `twist_ns`; one older than the enable is dropped."""
        if twist_ns > self._twist_ns:
            self._twist, self._twist_ns = twist, twist_ns

    def take_gripper(self, gripper: float) -> None:
        """Take the gripper closure that the operator requests, 0 open to 1 closed."""
        self._gripper = gripper

    def take_camera(self, name: str, stamp_ns: int) -> None:
        """Record that camera `name` delivered an image captured at `stamp_ns`."""
        if name in self._camera_ns:
            self._camera_ns[name] = stamp_ns

    def refuse_chunk(self, why: str) -> None:
        """Count a chunk that was refused before it reached the servo."""
        self._count_refusal(1, why)

    def take_state(self, state: ServoState) -> None:
        """Evaluate the servo's state: faults, refused chunks, arrival at home."""
        self._servo_fault, self._servo_text = state.fault, state.fault_text
        if state.fault is not Fault.NONE and self._enabled:
            self.disable(Why(Reason.FAULT, state.fault_text, state.fault))
        self._resets_done = state.resets_done
        is_reset = self._reset_asked_ns is not None and self._resets_done >= self._resets
        if is_reset and not self._reset_failed and state.fault is Fault.NONE:
            self._lost = ""
        self._take_refusals(state)
        self._gripper = state.gripper if self._source not in _HELD_BY_BUTTON else self._gripper
        begun = self._enabled and state.now_ns - self._enabled_ns > _BEGUN_NS
        if begun and self._source is Source.HOME:
            if not state.moving and state.mode is ServoMode.HOLD:
                self.disable(Why(Reason.HOME_REACHED, "home reached"))
        elif begun and self._source is Source.POLICY:
            if self._following and state.mode is ServoMode.HOLD:
                self.disable(
                    Why(
                        Reason.CHUNKS_ENDED,
                        "the last chunk ended and no other came: is policy_node running, and fast"
                        " enough? then enable again",
                    )
                )
            self._following = state.mode is ServoMode.CHUNK

    def decide(self, now_ns: int) -> Command:
        """Return the current command, which is also the servo's heartbeat."""
        if self._enabled:
            self._check_source(now_ns)
        mode = _MODES[self._source] if self._enabled else ServoMode.HOLD
        if mode in (ServoMode.TWIST, ServoMode.GUIDE) and not self._deadman:
            mode = ServoMode.HOLD
        return Command(
            heartbeat_ns=now_ns,
            mode=mode,
            enables=self._enables,
            resets=self._resets,
            exit=False,
            twist=self._twist,
            twist_ns=self._twist_ns,
            gripper=self._gripper,
        )

    def _check_source(self, now_ns: int) -> None:
        """Disable motion if the active source has gone silent."""
        if self._source in _HELD_BY_BUTTON:
            since_ns = max(self._deadman_ns or 0, self._enabled_ns)
            silent_s = (now_ns - since_ns) * 1e-9
            if silent_s > _DEADMAN_TIMEOUT_S:
                self._deadman = False
                self.disable(
                    Why(
                        Reason.DEADMAN_SILENT,
                        f"no dead-man heartbeat for {silent_s:.2f} s (limit {_DEADMAN_TIMEOUT_S}"
                        " s): is the pointer plugged in and teleop_node running? then enable again",
                    )
                )
        elif self._source is Source.POLICY:
            waited_s = (now_ns - self._enabled_ns) * 1e-9
            if hindrance := self._stale_camera(now_ns) or self._no_take_over(now_ns):
                self.disable(hindrance)
            elif not self._following and waited_s > _FIRST_CHUNK_TIMEOUT_S:
                self.disable(
                    Why(
                        Reason.NO_CHUNK,
                        f"no chunk for {waited_s:.1f} s (limit {_FIRST_CHUNK_TIMEOUT_S} s): is"
                        " policy_node running? then enable again",
                    )
                )

    def _stale_camera(self, now_ns: int) -> Why | None:
        """Return which camera's image is missing or stale, if any."""
        for name, stamp_ns in self._camera_ns.items():
            if stamp_ns is None:
                return Why(Reason.IMAGE_MISSING, f"no image of {name} yet: is its camera running?")
            age_s = (now_ns - stamp_ns) * 1e-9
            if age_s > self._limits.camera_timeout_s:
                return Why(
                    Reason.IMAGE_STALE,
                    f"newest image of {name} is {age_s:.2f} s old (limit"
                    f" {self._limits.camera_timeout_s} s): check its cable, then enable again",
                )
        return None

    def _no_take_over(self, now_ns: int) -> Why | None:
        """Return why no operator could take over from the policy, None if one could."""
        if not self._watch_take_over:
            return None
        silence = "yet"
        if self._deadman_ns is not None:
            silent_s = (now_ns - self._deadman_ns) * 1e-9
            if silent_s <= _TAKE_OVER_TIMEOUT_S:
                return None
            silence = f"for {silent_s:.2f} s (limit {_TAKE_OVER_TIMEOUT_S} s)"
        return Why(
            Reason.NO_TAKE_OVER,
            f"nobody could take over: no dead-man heartbeat {silence}; is the pointer plugged in"
            " and teleop_node running? then enable again (teleop.watch_during_policy)",
        )

    def _take_refusals(self, state: ServoState) -> None:
        """Count the chunks that the servo refused."""
        if state.chunks_accepted != self._accepted:
            self._refused_in_a_row = 0
        new = state.chunks_refused - self._refused
        self._accepted, self._refused = state.chunks_accepted, state.chunks_refused
        if new > 0:
            self._count_refusal(new, state.refusal)

    def _count_refusal(self, new: int, why: str) -> None:
        """Count refused chunks; disable a policy after too many refusals in a row."""
        self.last_refusal = why
        self._refused_in_a_row += new
        policy_moves = self._enabled and self._source is Source.POLICY
        if policy_moves and self._refused_in_a_row >= _REFUSALS_UNTIL_STOP:
            self.disable(
                Why(
                    Reason.CHUNKS_REFUSED,
                    f"{self._refused_in_a_row} chunks refused in a row: {why}",
                )
            )
