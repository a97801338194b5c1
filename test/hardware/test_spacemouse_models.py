"""Every model that pyspacemouse knows: its reports, byte by byte, through the real libraries."""

import struct
from dataclasses import replace
from typing import get_args

import easyhid.easyhid
import numpy as np
import pyspacemouse
import pytest

from carp_ros.errors import DeviceError
from carp_ros.hardware.spacemouse import SpaceMouse
from carp_ros.rig_pointers import SpaceMouseConfig, SpaceMouseModel
from carp_ros.sim.virtual_hidapi import VirtualHidapi

MS = 1_000_000
DEFAULT = SpaceMouseConfig()
SPECS = pyspacemouse.get_device_specs()
ALL_AXES_IN_ONE_REPORT = {
    "SpaceMouseEnterprise",
    "SpaceMouseProWireless",
    "SpaceMouseProWirelessBluetooth",
    "SpaceMouseWireless",
    "SpaceMouseWirelessNew",
    "UniversalReceiver",
}
BUTTONS = [(name, button) for name, spec in SPECS.items() for button in spec.button_names]
WITH_BUTTONS = sorted({name for name, _ in BUTTONS})


MICE: list[SpaceMouse] = []


@pytest.fixture(autouse=True)
def hidapi(monkeypatch):
    monkeypatch.setattr(easyhid.easyhid, "hidapi", None)  # restored after the test
    yield
    while MICE:
        MICE.pop().close()


def plugged(name: str, product: str = "") -> VirtualHidapi:
    spec = SPECS[product or name]
    device = VirtualHidapi(spec.vendor_id, spec.product_id, product or name)
    device.install()
    return device


def opened(config=DEFAULT):
    mouse = SpaceMouse(config)
    MICE.append(mouse)
    mouse.open()
    for t in range(-500, 0, 10):
        mouse.read(t * MS)
    return mouse


def axes_reports(name: str, counts: list[int]) -> list[bytes]:
    """Return x right, y to the user, z down and the rotations about them, as the device counts."""
    if name in ALL_AXES_IN_ONE_REPORT:
        return [struct.pack("<B6h", 1, *counts)]
    return [struct.pack("<B3h", 1, *counts[:3]), struct.pack("<B3h", 2, *counts[3:])]


def button_report(spec, index: int) -> bytes:
    """Return report 3 as a device sends it while one button is down: a bit for each."""
    button = spec.button_specs[index]
    assert button.channel == 3
    report = bytearray([3, 0, 0, 0, 0, 0, 0])
    report[button.byte] |= 1 << button.bit
    return bytes(report)


def test_the_models_of_the_rig_file_are_those_that_pyspacemouse_knows():
    assert set(get_args(SpaceMouseModel)) == {"announced", *SPECS}
    assert len(SPECS) == 13


@pytest.mark.parametrize("name", WITH_BUTTONS)
def test_each_axis_of_each_model_moves_as_it_was_pushed(name):
    device = plugged(name)
    mouse = opened()
    # Of x, y, z and the rotations about them, as the HID usage tables have them, and in ROS.
    for count, axis in ((1, 0), (0, 1), (2, 2), (4, 3), (3, 4), (5, 5)):
        counts = [0] * 6
        counts[count] = -175
        for report in axes_reports(name, counts):
            device.send(report)
        np.testing.assert_allclose(mouse.read(0).deflections, 0.5 * np.eye(6)[axis], err_msg=name)


@pytest.mark.parametrize(("name", "button"), BUTTONS)
def test_each_button_of_each_model_can_be_the_dead_man(name, button):
    device = plugged(name)
    spec = SPECS[name]
    other = next(b for b in reversed(spec.button_names) if b != button)
    mouse = opened(SpaceMouseConfig(deadman_button=button, gripper_button=other))
    for index, pressed in enumerate(spec.button_names):
        device.send(button_report(spec, index))
        state = mouse.read(0)
        assert state.buttons == (pressed == button, pressed == other), pressed
    device.send(bytes([3, 0, 0, 0, 0, 0, 0]))
    assert mouse.read(0).buttons == (False, False)


@pytest.mark.parametrize("name", WITH_BUTTONS)
def test_the_two_large_buttons_of_each_model_are_left_and_right_by_default(name):
    device = plugged(name)
    mouse = opened()
    device.send(b"\x03\x01\x00\x00\x00\x00\x00")
    assert mouse.read(0).buttons == (True, False)
    device.send(b"\x03\x02\x00\x00\x00\x00\x00")
    assert mouse.read(0).buttons == (False, True)


def test_for_the_left_hand_the_right_button_is_the_dead_man():
    device = plugged("SpaceMouseCompact")
    mouse = opened(SpaceMouseConfig(hand="left"))
    device.send(b"\x03\x02\x00")
    assert mouse.read(0).buttons == (True, False)


def test_buttons_of_the_episode_are_told_by_their_wish():
    wishes = {"success": "BTN_1", "discard": "ESC"}
    device = plugged("SpaceMousePro")
    spec = SPECS["SpaceMousePro"]
    mouse = opened(SpaceMouseConfig(episode_buttons=wishes))
    for wish, name in wishes.items():
        device.send(button_report(spec, spec.button_names.index(name)))
        state = mouse.read(0)
        assert state.wishes == {wish}
        assert state.buttons == (False, False)


def test_a_receiver_that_announces_another_product_sends_what_the_model_behind_it_sends():
    device = plugged("SpaceMouseWireless", product="UniversalReceiver")
    mouse = opened(SpaceMouseConfig(model="SpaceMouseWireless"))
    device.send(axes_reports("SpaceMouseWireless", [0, -350, 0, 0, 0, 0])[0])
    device.send(b"\x03\x01\x00")
    state = mouse.read(0)
    np.testing.assert_allclose(state.deflections, [1, 0, 0, 0, 0, 0])
    assert state.buttons == (True, False)
    assert mouse.describe().startswith("SpaceMouseWireless at ")


def test_a_product_that_pyspacemouse_does_not_know_needs_the_name_of_a_model():
    VirtualHidapi(0x256F, 0xC6FF, "SpaceMouse of next year").install()
    with pytest.raises(DeviceError, match=r"name the model whose .* in teleop\.pointer\.model"):
        opened()
    assert opened(SpaceMouseConfig(model="SpaceMouseCompact")).read(0).connected


def test_a_model_is_not_looked_for_behind_the_devices_of_other_makers():
    VirtualHidapi(0x1D6B, 0x0104, "Keyboard").install()
    config = SpaceMouseConfig(model="SpaceMouseCompact")
    with pytest.raises(DeviceError, match="no SpaceMouse among"):
        opened(config)
    # ... unless its file is named
    assert opened(replace(config, hid_path="/dev/hidraw-virtual0")).read(0).connected


def test_a_button_that_the_model_lacks_is_refused_with_those_it_has():
    plugged("SpaceMouseCompact")
    with pytest.raises(
        DeviceError, match=r"none is ESC.* expected one of LEFT, RIGHT, LARGE_LEFT"
    ) as caught:
        opened(SpaceMouseConfig(episode_buttons={"discard": "ESC"}))
    assert "teleop.pointer.episode_buttons.discard" in str(caught.value)


def test_two_keys_that_name_one_button_are_refused():
    plugged("SpaceMouseCompact")
    with pytest.raises(DeviceError, match=r"are one button of the SpaceMouseCompact, LEFT"):
        opened(SpaceMouseConfig(gripper_button="LEFT"))
