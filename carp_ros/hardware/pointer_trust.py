"""Decides what of a pointer's readings may move the arm. In doubt: none of it.

What a device last reported may no longer be so, or never have been meant: it may be plugged in with
a stick that hangs or a button that is held, its radio link may end while the dead-man is pressed,
and a full queue may have lost the release of a button. In all these cases nothing counts until
everything was let go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from carp_ros.types import Array, PointerFault, PointerRefusal, PointerState, Wish

UNTOUCHED_NS = 200_000_000
"""How long everything must have been let go before a device is trusted again."""

MOST_DEFLECTION = 2.0
"""Larger readings are no deflections; a device that is pushed hard reads a little above 1."""

_AXES = ("x", "y", "z", "roll", "pitch", "yaw")


@dataclass(frozen=True, slots=True)
class RawState:
    """What a device says.

    Attributes:
        deflections: Of shape (6,), nominally -1 to 1.
        deadman, gripper: Whether the button is pressed.
        wishes: The wishes whose buttons are pressed.
        reported: Whether anything arrived since the last reading.
        heard: Whether anything arrived since the device was opened.
    """

    deflections: Array
    deadman: bool
    gripper: bool
    wishes: frozenset[Wish]
    reported: bool
    heard: bool


class PointerTrust:
    """Passes a device's readings on once it may be trusted.

    It is not trusted at first: an axis or a button that is off its rest before anybody touched the
    device would move the arm as soon as the dead-man is pressed.

    Args:
        dead_zone: Deflections up to this count as at rest.
        deadman_timeout_s: A dead-man held longer than this without any report is not believed.
    """

    def __init__(self, dead_zone: float, deadman_timeout_s: float) -> None:
        self._dead_zone = dead_zone
        self._timeout_s = deadman_timeout_s
        self._trusted = False
        self._cause: PointerFault | None = None
        self._untouched_since_ns: int | None = None
        self._reported_ns: int | None = None

    def distrust(self, cause: PointerFault | None = None) -> None:
        """Pass nothing on until everything was let go.

        Args:
            cause: What happened; None if the device was just opened.
        """
        self._trusted, self._cause = False, cause
        self._untouched_since_ns = self._reported_ns = None

    def judge(self, raw: RawState, now_ns: int) -> PointerState:
        """Return what may move the arm, and if the answer is nothing, why.

        Args:
            raw: What the device says at `now_ns`.
            now_ns: Must not decrease between calls.
        """
        if raw.reported or self._reported_ns is None or not raw.deadman:
            self._reported_ns = now_ns
        in_range = bool((np.abs(raw.deflections) <= MOST_DEFLECTION).all())  # false for NaN, too
        if not in_range:
            self.distrust(PointerFault.OUT_OF_RANGE)
        elif self._trusted and now_ns - self._reported_ns > self._timeout_s * 1e9:
            self.distrust(PointerFault.SILENT)
        off_centre = np.abs(raw.deflections) > self._dead_zone
        pressed = raw.deadman or raw.gripper or bool(raw.wishes)
        self._wait(now_ns, at_rest=in_range and not pressed and not off_centre.any())
        if self._trusted:
            deflections = np.clip(raw.deflections, -1.0, 1.0)
            return PointerState(
                deflections, (raw.deadman, raw.gripper), True, raw.heard, raw.wishes
            )
        refusal = self._refusal(raw, off_centre, pressed)
        return PointerState(np.zeros(6), (False, False), True, raw.heard, refusal=refusal)

    def _wait(self, now_ns: int, *, at_rest: bool) -> None:
        if not at_rest:
            self._untouched_since_ns = None
        elif self._untouched_since_ns is None:
            self._untouched_since_ns = now_ns
        elif now_ns - self._untouched_since_ns >= UNTOUCHED_NS:
            self._trusted, self._cause = True, None

    def _refusal(
        self, raw: RawState, off_centre: npt.NDArray[np.bool_], pressed: bool
    ) -> PointerRefusal | None:
        """Return why nothing counts; None if it is at rest and only has to stay so for a moment."""
        readings = ", ".join(
            f"{axis} {value:.2f}"
            for axis, value, off in zip(_AXES, raw.deflections, off_centre)
            if off or not np.isfinite(value)
        )
        if self._cause is PointerFault.OUT_OF_RANGE:
            return PointerRefusal(
                PointerFault.OUT_OF_RANGE,
                f"it read more than {MOST_DEFLECTION:g} times its range ({readings or 'before'}):"
                " let go of it; if this stays, its model or axes are not those of the rig file",
            )
        if self._cause is PointerFault.SILENT:
            return PointerRefusal(
                PointerFault.SILENT,
                "the dead-man was held, but nothing came from the pointer for"
                f" {self._timeout_s:g} s: let go of it and press again; if that changes nothing,"
                " charge it or move nearer",
            )
        if self._cause is PointerFault.REPORTS_LOST:
            return PointerRefusal(
                PointerFault.REPORTS_LOST,
                "reports were lost while nobody read them: let go of it and press again",
            )
        if readings:
            return PointerRefusal(
                PointerFault.OFF_CENTRE,
                f"it is off its centre ({readings}) and was never at rest, expected at most"
                f" {self._dead_zone:g}: let go of it; if that changes nothing, unplug it and plug"
                " it in again untouched, or increase teleop.dead_zone",
            )
        if pressed:
            return PointerRefusal(
                PointerFault.BUTTON_HELD,
                "a button has been held since it was opened: let go of all buttons",
            )
        return None
