"""The 3Dconnexion SpaceMouse, through pyspacemouse and hidapi."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.hardware.spacemouse_interfaces import Interface, open_interfaces
from carp_ros.rig import TeleopConfig
from carp_ros.types import PointerState

if TYPE_CHECKING:
    from pyspacemouse import SpaceMouseState

_REOPEN_PERIOD_NS = 1_000_000_000


class SpaceMouse:
    """A `Pointer` that reads the first connected SpaceMouse to send a report.

    Until one does, all candidate interfaces are open; then the others are closed.

    The mouse reports deflections many times a second while it is off centre, but each button only
    when it changes. So deflections that are not renewed count as zero, while a button keeps its
    state. When a change may have been missed (the mouse was unplugged, or its queue overflowed),
    the mouse counts as untouched until it has really been untouched for `report_timeout_s`.

    Args:
        config: Device path, button numbers, dead zone and report timeout.
    """

    def __init__(self, config: TeleopConfig) -> None:
        self._config = config
        self._timeout_ns = round(config.report_timeout_s * 1e9)
        self._interfaces: list[Interface] = []
        self._reopen_at_ns: int | None = None  # None: closed on purpose
        self._axes_at_ns = 0
        self._trusted = True
        self._untouched_since_ns: int | None = None

    def open(self) -> None:
        """Find and open the mouse.

        Raises:
            DeviceError: If pyspacemouse or the hidapi library is not installed, no SpaceMouse is
                plugged in, this user may not read it, or it has too few buttons.
        """
        self.close()
        last = max(self._config.deadman_button, self._config.gripper_button)
        self._interfaces = open_interfaces(self._config.hid_path, last + 1)

    def describe(self) -> str:
        """Return the model and device path being read."""
        paths = ", ".join(interface.path for interface in self._interfaces)
        return f"{self._interfaces[0].name} at {paths}" if self._interfaces else "none"

    def read(self, now_ns: int) -> PointerState:
        """Process all waiting reports and return the newest state. Never blocks, never raises.

        Tries to reopen an unplugged mouse once a second.
        """
        if not self._interfaces:
            self._reopen_when_due(now_ns)
        state = self._drain(now_ns) if self._interfaces else None
        if state is None:
            return PointerState(np.zeros(6), (), connected=False)
        interface = self._interfaces[0]
        if interface.axes_came:
            self._axes_at_ns, interface.axes_came = now_ns, False
        axes = np.array([state.x, state.y, state.z, state.roll, state.pitch, state.yaw])
        stale = now_ns - self._axes_at_ns > self._timeout_ns
        deflections = np.zeros(6) if stale else np.clip(axes, -1.0, 1.0)
        buttons = tuple(bool(pressed) for pressed in state.buttons)
        touched = any(buttons) or bool((np.abs(deflections) > self._config.dead_zone).any())
        heard = interface.spoke
        if not self._is_trusted(touched, now_ns):
            return PointerState(np.zeros(6), (False,) * len(buttons), connected=True, heard=heard)
        return PointerState(deflections, buttons, connected=True, heard=heard)

    def close(self) -> None:
        """Close the mouse; `read` then reports it as not connected."""
        for interface in self._interfaces:
            interface.close()
        self._interfaces = []
        self._reopen_at_ns = None

    def _reopen_when_due(self, now_ns: int) -> None:
        if self._reopen_at_ns is None or now_ns < self._reopen_at_ns:
            return
        try:
            self.open()
        except DeviceError:
            self._reopen_at_ns = now_ns + _REOPEN_PERIOD_NS
        else:
            self._distrust()

    def _drain(self, now_ns: int) -> SpaceMouseState | None:
        """Process waiting reports and return the newest state, or None if the mouse is gone.

        Once an interface has reported something, it becomes the only one in `_interfaces`.
        """
        from easyhid import HIDException

        silent = None
        for interface in list(self._interfaces):
            try:
                state, lost = interface.drain()
            except HIDException:
                interface.close()
                self._interfaces.remove(interface)
                continue
            if interface.spoke:
                for other in self._interfaces:
                    if other is not interface:
                        other.close()
                self._interfaces = [interface]
                if lost:
                    self._distrust()
                return state
            silent = silent or state
        if not self._interfaces:
            self._reopen_at_ns = now_ns + _REOPEN_PERIOD_NS
        return silent

    def _distrust(self) -> None:
        self._trusted = False
        self._untouched_since_ns = None

    def _is_trusted(self, touched: bool, now_ns: int) -> bool:
        """Return whether the state is valid: not after a missed change, until untouched a while."""
        if touched:
            self._untouched_since_ns = None
        elif self._untouched_since_ns is None:
            self._untouched_since_ns = now_ns
        elif now_ns - self._untouched_since_ns >= self._timeout_ns:
            self._trusted = True
        return self._trusted
