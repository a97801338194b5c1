"""Maps ROS time, which can be set and corrected, to the steady time that this package uses."""

from __future__ import annotations

_JUMP_NS = 50_000_000  # more than any single correction of a synchronised clock
_SLEW = 0.01  # share of the time passed: twenty times the rate at which system clocks are slewed


class ClockMapping:
    """The offset from ROS time to steady time, without the jitter of a busy machine.

    Small corrections are spread over time, so that stamps keep increasing; a jump is applied at
    once and reported by `take_jump`.
    """

    def __init__(self) -> None:
        self._offset_ns: int | None = None
        self._read_ns = 0
        self._jump_ns = 0

    def read(self, before_ns: int, ros_ns: int, after_ns: int) -> int:
        """Update the offset from a new reading of both clocks and return it.

        Args:
            before_ns: Steady time before the other clock was read.
            ros_ns: ROS time.
            after_ns: Steady time after it was read: this thread may be interrupted in between.
        """
        measured_ns = (before_ns + after_ns) // 2 - ros_ns
        uncertain_ns = (after_ns - before_ns) // 2
        if self._offset_ns is None:
            self._offset_ns = measured_ns
        correction_ns = measured_ns - self._offset_ns
        if abs(correction_ns) > _JUMP_NS + uncertain_ns:
            self._jump_ns -= correction_ns
            self._offset_ns = measured_ns
        else:
            most_ns = round(_SLEW * max(0, after_ns - self._read_ns))
            self._offset_ns += max(-most_ns, min(most_ns, correction_ns))
        self._read_ns = after_ns
        return self._offset_ns

    def take_jump(self) -> str:
        """Describe the clock's jump since the last call; empty if there was none."""
        jump_s, self._jump_ns = self._jump_ns * 1e-9, 0
        if not jump_s:
            return ""
        return (
            f"this machine's clock was set {'forward' if jump_s > 0.0 else 'back'} by"
            f" {abs(jump_s):.3f} s: messages stamped before count as too old or from the"
            " future; synchronise the clock (chrony) before starting the system"
        )
