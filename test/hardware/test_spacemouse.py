"""Tests for hardware/spacemouse.py: the real pyspacemouse and easyhid over a virtual hidapi."""

import gc
import sys
from dataclasses import replace

import easyhid.easyhid
import numpy as np
import pytest
from easyhid.easyhid import ffi

from carp_ros.errors import DeviceError
from carp_ros.hardware.spacemouse import SpaceMouse
from carp_ros.rig_pointers import SpaceMouseConfig
from carp_ros.sim.virtual_hidapi import VirtualHidapi
from carp_ros.sim.virtual_spacemouse import VirtualSpaceMouse

CONFIG = SpaceMouseConfig(report_timeout_s=0.2)
MS = 1_000_000
PUSHED = np.array([0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
DEADMAN, RELEASED = (True, False), (False, False)


class LockedHidapi(VirtualHidapi):
    """A device whose /dev/hidraw node this user may not open."""

    def hid_open_path(self, path):
        return ffi.NULL


@pytest.fixture(autouse=True)
def hidapi(monkeypatch):
    """Start without any HID device, and put the real library back afterwards."""
    no_device = VirtualHidapi(0, 0, "")
    no_device.unplug()
    monkeypatch.setattr(easyhid.easyhid, "hidapi", no_device)
    yield
    gc.collect()  # devices that a test left open: the real library could not close them


@pytest.fixture
def hand():
    mouse = VirtualSpaceMouse()
    mouse.install()
    return mouse


def opened(config=CONFIG):
    """Return a mouse that was opened half a second before time 0 and at rest since."""
    mouse = SpaceMouse(config)
    mouse.open()
    for t in range(-500, 0, 10):
        mouse.read(t * MS)
    return mouse


@pytest.fixture
def mouse(hand):
    mouse = opened()
    yield mouse
    mouse.close()


def test_an_untouched_mouse_is_connected_and_still(mouse):
    state = mouse.read(0)

    assert state.connected
    assert not state.deflections.any()
    assert state.buttons == (False, False)


@pytest.mark.parametrize("axis", range(6))
def test_each_axis_comes_out_as_it_was_pushed(hand, mouse, axis):
    pushed = 0.6 * np.eye(6)[axis]
    hand.move(pushed, RELEASED)

    np.testing.assert_allclose(mouse.read(0).deflections, pushed)


def test_a_mouse_that_counts_beyond_its_range_is_at_full_deflection(hand, mouse):
    hand._hidapi.send(bytes([1, *np.array([-400, 0, 400], "<i2").tobytes()]))

    np.testing.assert_array_equal(mouse.read(0).deflections, [0, 1, -1, 0, 0, 0])


@pytest.mark.parametrize("buttons", [(True, False), (False, True), (True, True), (False, False)])
def test_buttons_come_out_as_they_were_pressed(hand, mouse, buttons):
    hand.move(np.zeros(6), buttons)

    assert mouse.read(0).buttons == buttons


def test_one_read_takes_in_all_that_waits_and_the_newest_wins(hand, mouse):
    for tenth in range(1, 11):
        hand.move(PUSHED * tenth / 10, DEADMAN)

    np.testing.assert_allclose(mouse.read(0).deflections, PUSHED)
    assert mouse.read(1).buttons == DEADMAN


def test_deflections_that_are_not_renewed_count_as_zero_while_buttons_stay(hand, mouse):
    hand.move(PUSHED, DEADMAN)

    assert mouse.read(0).deflections.any()
    assert mouse.read(200 * MS).deflections.any()
    stale = mouse.read(201 * MS)
    assert not stale.deflections.any()
    assert stale.buttons == DEADMAN

    hand.move(PUSHED, DEADMAN)
    assert mouse.read(202 * MS).deflections.any()


def test_button_reports_do_not_renew_deflections(hand, mouse):
    hand.move(PUSHED, RELEASED)
    mouse.read(0)
    hand._hidapi.send(b"\x03\x01\x00")

    state = mouse.read(300 * MS)

    assert state.buttons == DEADMAN
    assert not state.deflections.any()


def test_an_unplugged_mouse_is_not_connected_and_still(hand, mouse):
    hand.move(PUSHED, DEADMAN)
    mouse.read(0)
    hand.unplug()

    state = mouse.read(10 * MS)

    assert not state.connected
    assert not state.deflections.any()
    assert not any(state.buttons)


def test_a_mouse_that_comes_back_is_looked_for_once_a_second(hand, mouse):
    hand.unplug()
    assert not mouse.read(0).connected
    hand.plug()
    assert not mouse.read(999 * MS).connected
    assert mouse.read(1000 * MS).connected


def test_a_mouse_that_stays_away_is_looked_for_again(hand, mouse):
    hand.unplug()
    assert not any(mouse.read(t * MS).connected for t in range(0, 3000, 10))
    hand.plug()
    assert mouse.read(4000 * MS).connected


def replugged(hand, mouse, deflections, buttons):
    hand.unplug()
    mouse.read(0)
    hand.plug()
    hand.move(deflections, buttons)
    mouse.read(1000 * MS)


@pytest.mark.parametrize(
    ("deflections", "buttons"), [(PUSHED, DEADMAN), (np.zeros(6), DEADMAN), (PUSHED, RELEASED)]
)
def test_after_replugging_nothing_counts_until_the_hand_was_off(hand, mouse, deflections, buttons):
    replugged(hand, mouse, np.zeros(6), RELEASED)
    for t in range(1010, 2000, 10):
        hand.move(deflections, buttons)
        held = mouse.read(t * MS)
        assert held.connected
        assert not held.deflections.any()
        assert not any(held.buttons)

    for t in range(2000, 2210, 10):
        hand.move(np.zeros(6), RELEASED)
        mouse.read(t * MS)
    hand.move(PUSHED, DEADMAN)
    state = mouse.read(2210 * MS)

    np.testing.assert_allclose(state.deflections, PUSHED)
    assert state.buttons == DEADMAN


def test_after_replugging_a_moment_of_silence_is_not_yet_a_hand_off(hand, mouse):
    replugged(hand, mouse, np.zeros(6), RELEASED)  # at 1000 ms
    mouse.read(1100 * MS)
    hand.move(PUSHED, DEADMAN)

    assert not any(mouse.read(1190 * MS).buttons)


def test_an_overflowed_queue_may_have_lost_the_release_so_the_deadman_counts_no_more(hand, mouse):
    hand.move(PUSHED, DEADMAN)
    assert mouse.read(0).buttons == DEADMAN
    for _ in range(50):
        hand.move(PUSHED, DEADMAN)  # nobody reads: the queue fills
    hand.move(np.zeros(6), RELEASED)

    states = [mouse.read(t * MS) for t in range(1000, 2000, 10)]

    assert not any(any(state.buttons) for state in states)
    assert not any(state.deflections.any() for state in states)


def test_a_closed_mouse_is_not_connected_and_is_not_looked_for(mouse):
    mouse.close()

    assert not any(mouse.read(t * 500 * MS).connected for t in range(10))


def test_a_mouse_can_be_opened_again_after_closing(mouse):
    mouse.close()
    mouse.open()

    assert mouse.read(0).connected


RECEIVER = (0x256F, 0xC652, "3Dconnexion Universal Receiver")
AXES = b"\x01" + bytes([100, 0] * 6)  # as new models report: all six in one
LEFT_BUTTON = b"\x03\x01\x00"


def receiver(speaks: int, usages=((0, 0),) * 5) -> VirtualHidapi:
    plugged = VirtualHidapi(*RECEIVER, usages, speaks)
    plugged.install()
    return plugged


@pytest.mark.parametrize("speaks", range(5))
def test_of_several_interfaces_the_one_that_speaks_is_read_and_the_others_are_closed(speaks):
    plugged = receiver(speaks)
    mouse = opened()
    silent = mouse.read(0)
    assert silent.connected
    assert not silent.heard
    assert len(plugged.opened) == 5

    plugged.send(AXES)
    plugged.send(LEFT_BUTTON)
    state = mouse.read(10 * MS)

    assert state.heard
    assert state.deflections.all()
    assert state.buttons[0]
    assert plugged.opened == [f"/dev/hidraw-virtual{speaks}"]
    assert mouse.describe() == f"UniversalReceiver at /dev/hidraw-virtual{speaks}"


def test_what_is_no_report_of_a_mouse_does_not_choose_an_interface():
    plugged = receiver(speaks=1)
    mouse = opened()
    plugged.send(b"\x17\x40\x00", interface=3)  # the state of a battery
    assert not mouse.read(0).heard

    plugged.send(LEFT_BUTTON)
    assert mouse.read(10 * MS).buttons[0]


def test_where_hidapi_tells_what_an_interface_is_for_a_keyboard_is_not_opened():
    plugged = receiver(speaks=2, usages=((1, 6), (1, 2), (1, 8), (0xFF00, 1), (0, 0)))
    SpaceMouse(CONFIG).open()
    assert plugged.opened == ["/dev/hidraw-virtual2"]


def test_after_replugging_all_interfaces_are_listened_to_again():
    plugged = receiver(speaks=1)
    mouse = opened()
    plugged.send(AXES)
    assert mouse.read(0).heard
    plugged.unplug()
    assert not mouse.read(10 * MS).connected
    plugged.plug()
    state = mouse.read(1010 * MS)
    assert state.connected
    assert not state.heard
    assert len(plugged.opened) == 5


def test_an_interface_can_be_named():
    plugged = receiver(speaks=1)
    SpaceMouse(replace(CONFIG, hid_path="/dev/hidraw-virtual3")).open()
    assert plugged.opened == ["/dev/hidraw-virtual3"]


def test_a_named_interface_that_is_not_there_is_refused_with_those_that_are():
    receiver(speaks=1, usages=((0, 0),) * 2)
    message = refusal(replace(CONFIG, hid_path="/dev/hidraw7"))
    assert "teleop.pointer.hid_path is /dev/hidraw7, but there is no SpaceMouse" in message
    assert "/dev/hidraw-virtual0 (UniversalReceiver), /dev/hidraw-virtual1" in message


def test_interfaces_without_permission_do_not_hide_one_with():
    class PartlyLocked(VirtualHidapi):
        def hid_open_path(self, path):
            return ffi.NULL if path.endswith(b"0") else super().hid_open_path(path)

    plugged = PartlyLocked(*RECEIVER, ((0, 0),) * 2, 1)
    plugged.install()
    mouse = opened()
    plugged.send(AXES)
    assert mouse.read(0).heard


def test_an_interface_that_fails_while_nobody_spoke_leaves_the_others():
    class Broken(VirtualHidapi):
        def hid_read(self, handle, buffer, length):
            return -1 if handle.interface == 0 else super().hid_read(handle, buffer, length)

    plugged = Broken(*RECEIVER, ((0, 0),) * 2, 1)
    plugged.install()
    mouse = SpaceMouse(CONFIG)
    mouse.open()
    assert mouse.read(0).connected
    plugged.send(AXES)
    assert mouse.read(10 * MS).heard


def refusal(config=CONFIG):
    with pytest.raises(DeviceError) as caught:
        SpaceMouse(config).open()
    return str(caught.value)


def test_no_mouse_is_refused_with_what_to_do():
    assert "no SpaceMouse among the HID devices found (none): plug one in" in refusal()


def test_another_device_is_named_in_the_refusal():
    VirtualHidapi(0x046D, 0xC077, "USB Optical Mouse").install()

    assert "HID devices found (USB Optical Mouse (046d:c077))" in refusal()


def test_a_missing_hidapi_library_is_refused_with_the_package_to_install(monkeypatch):
    # What easyhid holds where the library is absent: the C library, without any hid_ function.
    monkeypatch.setattr(easyhid.easyhid, "hidapi", ffi.dlopen(None))

    assert "apt install libhidapi-hidraw0" in refusal()


def test_a_mouse_without_permission_is_refused_with_the_udev_rule():
    LockedHidapi(0x256F, 0xC635, "SpaceMouse Compact").install()

    message = refusal()

    assert message.startswith("SpaceMouseCompact is plugged in but cannot be opened")
    assert 'ATTRS{idVendor}=="256f", ATTRS{idProduct}=="c635", MODE="0666"' in message
    assert "/etc/udev/rules.d/70-spacemouse.rules" in message


def test_a_mouse_without_buttons_is_refused():
    VirtualHidapi(0x256F, 0xC641, "SpaceMouse").install()

    assert "SpaceMouseUSB has 0 buttons" in refusal()


def test_missing_pyspacemouse_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspacemouse", None)

    assert "pip install pyspacemouse" in refusal()


def test_a_hidapi_library_that_cannot_be_loaded_is_refused_with_its_reason(tmp_path, monkeypatch):
    broken = tmp_path / "pyspacemouse.py"
    broken.write_text("raise OSError('libudev.so.1: cannot open shared object file')")
    monkeypatch.delitem(sys.modules, "pyspacemouse")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DeviceError, match=r"libudev\.so\.1.*libhidapi-hidraw0"):
        SpaceMouse(CONFIG).open()


def test_devices_that_cannot_be_listed_are_refused_and_looked_for_again(hand, mouse):
    class Garbled(VirtualHidapi):
        def hid_enumerate(self, vendor_id, product_id):
            raise ValueError("character out of range for a product's name")

    hand.unplug()
    mouse.read(0)
    Garbled(0, 0, "").install()
    assert not mouse.read(1_100 * MS).connected
    with pytest.raises(DeviceError, match="HID devices can't be listed"):
        mouse.open()


def test_a_device_s_own_words_do_not_control_the_terminal():
    VirtualHidapi(1, 2, "Keyboard\x1b[2J").install()
    assert refusal().isprintable()
