"""Gestures with both buttons of the pointer pressed together: start, stop or discard an episode.

Alone, the dead-man allows motion and the gripper button toggles the gripper, also while the
dead-man is held, as in every grasp. Together means pressed within 0.1 s of each other, both having
been released before. A gripper press that may still become a gesture is withheld for that long.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from carp_ros.types import DEADMAN, GRIPPER, PointerState

Gesture = Literal["toggle", "discard"]
"""Start or stop recording (both buttons pressed and released); discard (both held)."""

TOGETHER_NS = 100_000_000
HELD_NS = 1_500_000_000


class Gestures:
    """Distinguishes gestures from ordinary button presses."""

    def __init__(self) -> None:
        self._deadman_ns: int | None = None
        self._gripper_ns: int | None = None
        self._both_ns: int | None = None
        self._told = False
        self._withheld = False
        self._let_through = False

    def take(self, state: PointerState, now_ns: int) -> tuple[PointerState, Gesture | None]:
        """Return the reading with gesture input removed, and the gesture if one is complete.

        Args:
            state: The pointer's state, read at `now_ns`.
            now_ns: Must not decrease between calls.
        """
        deadman, gripper = _is_down(state, DEADMAN), _is_down(state, GRIPPER)
        self._deadman_ns = _since(self._deadman_ns, deadman, now_ns)
        self._gripper_ns = _since(self._gripper_ns, gripper, now_ns)
        if self._both_ns is not None:
            return self._in_gesture(state, now_ns, released=not (deadman or gripper))
        if self._pressed_together(now_ns):
            self._both_ns, self._told = now_ns, False
            self._withheld = self._let_through = False
            return self._in_gesture(state, now_ns, released=False)
        return self._outside(state, now_ns)

    def _pressed_together(self, now_ns: int) -> bool:
        if self._deadman_ns is None or self._gripper_ns is None:
            return False
        fresh = self._withheld or self._gripper_ns == now_ns
        return fresh and abs(self._deadman_ns - self._gripper_ns) <= TOGETHER_NS

    def _in_gesture(
        self, state: PointerState, now_ns: int, *, released: bool
    ) -> tuple[PointerState, Gesture | None]:
        """Hide both buttons until both are released; return the gesture once it is decided."""
        assert self._both_ns is not None
        gesture: Gesture | None = None
        if not state.connected:
            self._both_ns = None
        elif released:
            gesture = None if self._told else "toggle"
            self._both_ns = None
        elif not self._told and now_ns - self._both_ns >= HELD_NS:
            gesture, self._told = "discard", True
        return self._with_buttons(state, deadman=False, gripper=False), gesture

    def _outside(self, state: PointerState, now_ns: int) -> tuple[PointerState, None]:
        """Withhold a gripper press that may still become a gesture; pass on a short tap."""
        pressed_ns = self._gripper_ns
        if pressed_ns is None:
            tapped = self._withheld and state.connected
            self._withheld = self._let_through = False
            return self._with_gripper(state, down=tapped), None
        joined_late = self._deadman_ns is not None and self._deadman_ns < pressed_ns - TOGETHER_NS
        # once passed on, it stays so even if the dead-man is released meanwhile
        at_once = joined_late or self._let_through
        self._withheld = not at_once and now_ns - pressed_ns < TOGETHER_NS
        self._let_through = not self._withheld
        return self._with_gripper(state, down=not self._withheld), None

    def _with_gripper(self, state: PointerState, *, down: bool) -> PointerState:
        return self._with_buttons(state, deadman=_is_down(state, DEADMAN), gripper=down)

    def _with_buttons(self, state: PointerState, *, deadman: bool, gripper: bool) -> PointerState:
        pressed = list(state.buttons)
        for button, down in ((DEADMAN, deadman), (GRIPPER, gripper)):
            if button < len(pressed):
                pressed[button] = down
        deflections = state.deflections if self._both_ns is None else np.zeros(6)
        return replace(state, buttons=tuple(pressed), deflections=deflections)


def _is_down(state: PointerState, button: int) -> bool:
    return state.connected and button < len(state.buttons) and state.buttons[button]


def _since(since_ns: int | None, down: bool, now_ns: int) -> int | None:
    """Return the time since which a button has been down, None while it is up."""
    if not down:
        return None
    return now_ns if since_ns is None else since_ns
