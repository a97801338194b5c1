"""A USB socket in software: takes the place of the hidapi library below `easyhid`.

Everything above it is real: `easyhid`, `pyspacemouse` with its HID parser, and our driver.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import easyhid.easyhid
from easyhid.easyhid import ffi

_PATH = "/dev/hidraw-virtual"
_QUEUE_LENGTH = 63  # as Linux's hidraw: a full queue drops what comes later


class VirtualHidapi:
    """The calls of hidapi that `easyhid` makes, with one device that can be plugged in and out.

    As on Linux, a device queues reports only while it is open. Reads never wait.

    Args:
        vendor_id: USB vendor.
        product_id: USB product.
        product: Name that the device gives itself.
    """

    def __init__(self, vendor_id: int, product_id: int, product: str) -> None:
        self._vendor_id = vendor_id
        self._product_id = product_id
        self._product = product
        self._plugged = True
        self._handle: object | None = None
        self._reports: deque[bytes] = deque()
        self._enumerations: dict[Any, list[Any]] = {}  # keeps what C pointers point to

    def install(self) -> None:
        """Take hidapi's place in this process."""
        easyhid.easyhid.hidapi = self

    def send(self, report: bytes) -> None:
        """Queue a report, its first byte the report's number, as if the device had sent it."""
        if self._handle is not None and len(self._reports) < _QUEUE_LENGTH:
            self._reports.append(report)

    def unplug(self) -> None:
        """Pull the device out: reads fail, and it is found no more."""
        self._plugged = False
        self._handle = None

    def plug(self) -> None:
        """Put the device back; a reader has to open it again."""
        self._plugged = True

    def hid_enumerate(self, vendor_id: int, product_id: int) -> Any:
        """Return a C list of at most one device; 0 stands for any vendor or product."""
        wanted = vendor_id in (0, self._vendor_id) and product_id in (0, self._product_id)
        if not (self._plugged and wanted):
            return ffi.NULL
        path = ffi.new("char[]", _PATH.encode())
        maker, product = ffi.new("wchar_t[]", "3Dconnexion"), ffi.new("wchar_t[]", self._product)
        info: Any = ffi.new("struct hid_device_info *")
        info.path, info.manufacturer_string, info.product_string = path, maker, product
        info.vendor_id, info.product_id = self._vendor_id, self._product_id
        self._enumerations[info] = [path, maker, product]
        return info

    def hid_free_enumeration(self, info: Any) -> None:
        """Forget a list."""
        self._enumerations.pop(info, None)

    def hid_open_path(self, path: bytes) -> Any:
        """Return a handle of the device, or NULL if there is none at `path`."""
        if not self._plugged or path != _PATH.encode():
            return ffi.NULL
        self._handle = object()
        self._reports.clear()
        return self._handle

    def hid_close(self, handle: object) -> None:
        """Close a handle."""
        if handle is self._handle:
            self._handle = None

    def hid_set_nonblocking(self, handle: object, nonblocking: int) -> int:
        """Do nothing: reads never wait."""
        return 0

    def hid_read(self, handle: object, buffer: Any, length: int) -> int:
        """Copy the oldest report; return its length, 0 if none waits, -1 if the device is gone."""
        if handle is not self._handle:
            return -1
        if not self._reports:
            return 0
        report = self._reports.popleft()[:length]
        ffi.memmove(buffer, report, len(report))
        return len(report)
