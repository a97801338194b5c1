"""The 3Dconnexion SpaceMouse, through pyspacemouse and hidapi."""

from __future__ import annotations

import numpy as np

from carp_ros.errors import DeviceError
from carp_ros.hardware.pointer import REOPEN_PERIOD_NS
from carp_ros.hardware.pointer_trust import PointerTrust
from carp_ros.hardware.spacemouse_interfaces import Interface, Report, open_interfaces
from carp_ros.rig_pointers import SpaceMouseConfig
from carp_ros.types import PointerFault, PointerState


class SpaceMouse:
    """A `Pointer` that reads the first connected SpaceMouse to send a report.

    Until one does, all candidate interfaces are open; then the others are closed.

    The mouse reports deflections many times a second while it is off centre, but each button only
    when it changes. So deflections that are not renewed count as zero, while a button keeps its
    state for `deadman_timeout_s`. `PointerTrust` has when nothing counts.

    Args:
        config: Device path, model, buttons and timeouts.
        dead_zone: Deflections up to this count as untouched.
    """

    def __init__(self, config: SpaceMouseConfig, dead_zone: float = 0.1) -> None:
        self._config = config
        self._timeout_ns = round(config.report_timeout_s * 1e9)
        self._trust = PointerTrust(dead_zone, config.deadman_timeout_s)
        self._interfaces: list[Interface] = []
        self._reopen_at_ns: int | None = None  # None: closed on purpose
        self._axes_at_ns = 0

    def open(self) -> None:
        """Find and open the mouse.

        Raises:
            DeviceError: If pyspacemouse or the hidapi library is not installed, no SpaceMouse is
                plugged in, this user may not read it, or it lacks a button of the configuration.
        """
        self.close()
        self._interfaces = open_interfaces(self._config)
        self._trust.distrust()

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
        report = self._drain(now_ns) if self._interfaces else None
        if report is None:
            return PointerState(np.zeros(6), (False, False), connected=False)
        if report.axes_came:
            self._axes_at_ns = now_ns
        stale = now_ns - self._axes_at_ns > self._timeout_ns
        return self._trust.judge(report.state(axes_count=not stale), now_ns)

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
            self._reopen_at_ns = now_ns + REOPEN_PERIOD_NS

    def _drain(self, now_ns: int) -> Report | None:
        """Process waiting reports and return the newest state, or None if the mouse is gone.

        Once an interface has reported something, it becomes the only one in `_interfaces`.
        """
        from easyhid import HIDException

        silent = None
        for interface in list(self._interfaces):
            try:
                report = interface.drain()
            except HIDException:
                interface.close()
                self._interfaces.remove(interface)
                continue
            if report.heard:
                for other in self._interfaces:
                    if other is not interface:
                        other.close()
                self._interfaces = [interface]
                if report.lost:
                    self._trust.distrust(PointerFault.REPORTS_LOST)
                return report
            silent = silent or report
        if not self._interfaces:
            self._reopen_at_ns = now_ns + REOPEN_PERIOD_NS
        return silent
