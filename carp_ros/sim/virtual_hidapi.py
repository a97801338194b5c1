"""A virtual HID device that replaces the hidapi library beneath `easyhid`.

Everything above it is real: `easyhid`, `pyspacemouse` with its HID parser, and our driver.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import easyhid.easyhid
from easyhid.easyhid import ffi

_PATH = "/dev/hidraw-virtual"  # followed by the number of the interface
_QUEUE_LENGTH = 63  # as in Linux's hidraw: a full queue drops new reports


class VirtualHidapi:
    """The hidapi calls that `easyhid` makes, with one device that can be plugged in and out.

    A device has one interface, or several of which one sends reports, as a wireless mouse's
    receiver has. As on Linux, it queues reports only while it is open. Reads never block.

    Args:
        vendor_id: USB vendor.
        product_id: USB product.
        product: Product name.
        usages: HID usage page and usage of each interface; 0 where hidapi can't tell.
        speaks: Number of the interface that sends reports.
    """

    def __init__(
        self,
        vendor_id: int,
        product_id: int,
        product: str,
        usages: Sequence[tuple[int, int]] = ((0, 0),),
        speaks: int = 0,
    ) -> None:
        self._vendor_id = vendor_id
        self._product_id = product_id
        self._product = product
        self._usages = usages
        self._speaks = speaks
        self._plugged = True
        self._queues: dict[Handle, deque[bytes]] = {}  # of each open interface
        self._enumerations: dict[Any, list[Any]] = {}  # keeps what C pointers point to

    def install(self) -> None:
        """Replace hidapi in this process."""
        easyhid.easyhid.hidapi = self

    @property
    def opened(self) -> list[str]:
        """The paths of the open interfaces."""
        return [_path(handle.interface) for handle in self._queues]

    @property
    def waiting(self) -> int:
        """The number of queued reports."""
        return sum(map(len, self._queues.values()))

    def send(self, report: bytes, interface: int | None = None) -> None:
        """Queue a report, its first byte the report number, as if the device had sent it."""
        sender = self._speaks if interface is None else interface
        for handle, queue in self._queues.items():
            if handle.interface == sender and len(queue) < _QUEUE_LENGTH:
                queue.append(report)

    def unplug(self) -> None:
        """Unplug the device: reads fail, and enumeration no longer finds it."""
        self._plugged = False
        self._queues.clear()

    def plug(self) -> None:
        """Plug the device in again; a reader has to reopen it."""
        self._plugged = True

    def hid_enumerate(self, vendor_id: int, product_id: int) -> Any:
        """Return a C list of the device's interfaces; 0 matches any vendor or product."""
        wanted = vendor_id in (0, self._vendor_id) and product_id in (0, self._product_id)
        if not (self._plugged and wanted):
            return ffi.NULL
        maker, product = ffi.new("wchar_t[]", "3Dconnexion"), ffi.new("wchar_t[]", self._product)
        kept, following = [maker, product], ffi.NULL
        for number, usage in reversed(list(enumerate(self._usages))):
            info: Any = ffi.new("struct hid_device_info *")
            path = ffi.new("char[]", _path(number).encode())
            info.path, info.manufacturer_string, info.product_string = path, maker, product
            info.vendor_id, info.product_id = self._vendor_id, self._product_id
            info.usage_page, info.usage = usage
            info.interface_number, info.next = number, following
            kept += [path, info]
            following = info
        self._enumerations[following] = kept
        return following

    def hid_free_enumeration(self, info: Any) -> None:
        """Free a list."""
        self._enumerations.pop(info, None)

    def hid_open_path(self, path: bytes) -> Any:
        """Return a handle to the interface at `path`, or NULL if there is none."""
        numbers = [n for n in range(len(self._usages)) if _path(n).encode() == path]
        if not self._plugged or not numbers:
            return ffi.NULL
        handle = Handle(numbers[0])
        self._queues[handle] = deque()
        return handle

    def hid_close(self, handle: Handle) -> None:
        """Close a handle."""
        self._queues.pop(handle, None)

    def hid_set_nonblocking(self, handle: Handle, nonblocking: int) -> int:
        """Do nothing: reads never block."""
        return 0

    def hid_read(self, handle: Handle, buffer: Any, length: int) -> int:
        """Copy the oldest report; return its length, 0 if none is queued, -1 if it is unplugged."""
        if handle not in self._queues:
            return -1
        if not self._queues[handle]:
            return 0
        report = self._queues[handle].popleft()[:length]
        ffi.memmove(buffer, report, len(report))
        return len(report)


class Handle:
    """An open interface."""

    def __init__(self, interface: int) -> None:
        self.interface = interface


def _path(interface: int) -> str:
    return f"{_PATH}{interface}"
