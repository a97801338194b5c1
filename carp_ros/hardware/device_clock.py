"""Finds out how a device's own clock runs against this machine's, from when its data arrive."""

from __future__ import annotations

from collections import deque

_BUCKET_NS = 500_000_000
_BUCKETS = 10


class DeviceClock:
    """Maps times of a device's clock to the monotonic clock of this machine.

    Data arrive later than their stamp by the offset between the clocks plus a delay, which varies
    but is never less than that of an undisturbed transfer. So the least difference of the last five
    seconds is the offset, up to that shortest delay, which cannot be seen from here. As the window
    moves on, the offset follows the drift: quartz of 100 ppm is followed within 0.5 ms.

    A device clock that runs backwards was reset, and is measured anew.
    """

    def __init__(self) -> None:
        self._least_ns: deque[tuple[int, int]] = deque(maxlen=_BUCKETS)  # bucket, least difference
        self._device_ns: int | None = None
        self._mapped_ns = 0

    def steady_ns(self, device_ns: int, arrived_ns: int) -> int:
        """Return the monotonic time of a device's time; later than those returned before.

        Args:
            device_ns: In the device's clock, whatever its epoch.
            arrived_ns: When it arrived, in monotonic time.
        """
        if self._device_ns is not None and device_ns <= self._device_ns:
            self._least_ns.clear()
        self._device_ns = device_ns
        difference_ns, bucket = arrived_ns - device_ns, arrived_ns // _BUCKET_NS
        if self._least_ns and self._least_ns[-1][0] == bucket:
            difference_ns = min(difference_ns, self._least_ns.pop()[1])
        self._least_ns.append((bucket, difference_ns))
        while self._least_ns[0][0] <= bucket - _BUCKETS:
            self._least_ns.popleft()
        offset_ns = min(least_ns for _, least_ns in self._least_ns)
        self._mapped_ns = max(device_ns + offset_ns, self._mapped_ns + 1)
        return self._mapped_ns
