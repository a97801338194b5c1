"""Tests for checks/pointer.py."""

import easyhid.easyhid
import numpy as np
import pytest

from carp_ros.checks import pointer
from carp_ros.checks.probe import CheckResult
from carp_ros.rig import TeleopConfig
from carp_ros.sim.virtual_hidapi import VirtualHidapi
from carp_ros.types import PointerFault, PointerRefusal, PointerState


def test_a_mouse_that_says_nothing_is_not_simply_found(monkeypatch):
    monkeypatch.setattr(pointer, "LISTEN_S", 0.05)
    monkeypatch.setattr(easyhid.easyhid, "hidapi", None)  # restored after the test
    plugged = VirtualHidapi(0x256F, 0xC652, "Universal Receiver", ((0, 0),) * 5, 1)
    plugged.install()
    finding = pointer.pointer_check(TeleopConfig()).look()
    assert "nothing came from it" in finding.found
    assert "move it while this runs" in finding.remedy


def test_a_mouse_that_speaks_is_found_with_its_device_file(monkeypatch):
    monkeypatch.setattr(easyhid.easyhid, "hidapi", None)

    class Speaking(VirtualHidapi):
        def hid_read(self, handle, buffer, length):
            self.send(b"\x03\x01\x00")
            return super().hid_read(handle, buffer, length)

    Speaking(0x256F, 0xC652, "Universal Receiver", ((0, 0),) * 5, 1).install()
    assert pointer.pointer_check(TeleopConfig()).look() == CheckResult(
        "UniversalReceiver at /dev/hidraw-virtual1 speaks"
    )


class FakePointer:
    """Says the same at each reading."""

    def __init__(self, *, heard, refusal=None):
        code = None if refusal is None else PointerRefusal(refusal, "let go of it")
        self._state = PointerState(np.zeros(6), (False, False), True, heard, refusal=code)
        self.closed = False

    def open(self):
        pass

    def describe(self):
        return "pad at /dev/input/event5"

    def read(self, now_ns):
        return self._state

    def close(self):
        self.closed = True


@pytest.mark.parametrize(
    ("heard", "refusal", "good"),
    [
        (True, None, True),
        (True, PointerFault.OFF_CENTRE, True),  # somebody moves it, as asked for
        (True, PointerFault.OUT_OF_RANGE, False),
        (False, PointerFault.OFF_CENTRE, False),  # and nobody touches it
        (False, PointerFault.BUTTON_HELD, False),
    ],
)
def test_a_pointer_that_teleoperation_would_not_believe_is_no_good_one(
    heard, refusal, good, monkeypatch
):
    monkeypatch.setattr(pointer, "LISTEN_S", 0.02)
    found = pointer._listened(FakePointer(heard=heard, refusal=refusal))
    assert (not found.remedy) == good
    assert good or found.remedy == "let go of it"


def test_a_pointer_is_closed_however_the_check_ends():
    class Broken(FakePointer):
        def read(self, now_ns):
            raise OSError("gone")

    broken = Broken(heard=True)
    with pytest.raises(OSError, match="gone"):
        pointer._listened(broken)
    assert broken.closed
