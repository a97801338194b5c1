"""Tests for hardware/gamepad.py: the real evdev over the device files of a virtual kernel."""

import errno
import sys

import numpy as np
import pytest

pytest.importorskip("evdev", reason="gamepads need evdev: pip install 'carp_ros[gamepad]'")

import evdev
import evdev.device
from evdev import ecodes

from carp_ros.errors import DeviceError
from carp_ros.hardware.gamepad import Gamepad
from carp_ros.rig_pointers import GamepadConfig
from carp_ros.types import PointerFault

from .virtual_gamepad import XBOX_AXES, XBOX_BUTTONS, Kernel, VirtualGamepad

MS = 1_000_000
CONFIG = GamepadConfig()


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    kernel.install(monkeypatch)
    return kernel


@pytest.fixture
def plug(kernel, tmp_path):
    made = []

    def plug(file="event0", **changes):
        pad = VirtualGamepad(tmp_path / file, **changes)
        kernel.gamepads[pad.path] = pad
        made.append(pad)
        return pad

    yield plug
    for pad in made:
        pad.close()


@pytest.fixture
def hands(plug):
    return plug()


def opened(config=CONFIG, since_ms=-500):
    """Return a gamepad that was opened half a second before time 0."""
    gamepad = Gamepad(config)
    gamepad.open()
    for t in range(since_ms, 0, 10):
        gamepad.read(t * MS)
    return gamepad


@pytest.fixture
def gamepad(hands):
    gamepad = opened()
    yield gamepad
    gamepad.close()


def test_an_untouched_gamepad_is_connected_still_and_not_yet_heard(gamepad):
    state = gamepad.read(0)
    assert state.connected
    assert not state.heard
    assert state.refusal is None
    assert not state.deflections.any()


RIGHT = [
    ({"ABS_RY": -0.6}, 0),  # a stick pushed forward counts down
    ({"ABS_RX": -0.6}, 1),
    ({"ABS_RZ": 0.6}, 2),
    ({"ABS_HAT0X": 1.0}, 3),
    ({"ABS_Y": -0.6}, 4),
    ({"ABS_X": -0.6}, 5),
]


@pytest.mark.parametrize(("moved", "axis"), RIGHT)
def test_each_axis_comes_out_as_it_was_moved(hands, gamepad, moved, axis):
    hands.move(**moved)
    share = abs(next(iter(moved.values())))
    np.testing.assert_allclose(gamepad.read(0).deflections, share * np.eye(6)[axis], atol=1e-3)


def test_the_other_trigger_lowers_the_tool(hands, gamepad):
    hands.move(ABS_Z=1.0)
    np.testing.assert_allclose(gamepad.read(0).deflections, [0, 0, -1, 0, 0, 0])


def test_for_the_left_hand_the_sticks_and_shoulder_buttons_change_places(hands):
    gamepad = opened(GamepadConfig(hand="left"))
    hands.move(ABS_Y=-1.0)
    hands.press("BTN_TR")
    state = gamepad.read(0)
    np.testing.assert_allclose(state.deflections, [1, 0, 0, 0, 0, 0], atol=1e-3)
    assert state.buttons == (True, False)


def test_buttons_come_out_by_their_use(hands, gamepad):
    hands.press("BTN_TL")
    assert gamepad.read(0).buttons == (True, False)
    hands.press("BTN_TR")
    assert gamepad.read(0).buttons == (True, True)
    hands.press("BTN_TL", down=False)
    assert gamepad.read(0).buttons == (False, True)
    hands.press("BTN_START")
    assert gamepad.read(0).wishes == {"toggle"}


def test_a_gamepad_of_another_layout_is_described_in_the_rig_file(plug):
    axes = {name: (0, 255, 0, 15) for name in ("ABS_X", "ABS_Y", "ABS_Z", "ABS_RZ")}
    hats = {name: (-1, 1, 0, 0) for name in ("ABS_HAT0X", "ABS_HAT0Y")}
    pad = plug(axes=axes | hats)
    for name in axes:
        pad.values[ecodes.ecodes[name]] = 128
    config = GamepadConfig(
        axes=("-ABS_Y", "-ABS_X", "-ABS_HAT0Y", "ABS_HAT0X", "-ABS_RZ", "-ABS_Z"),
        deadman_button="BTN_EAST",
    )
    gamepad = opened(config)
    pad.send(ecodes.EV_ABS, ecodes.ABS_RZ, 0)
    pad.press("BTN_EAST")
    state = gamepad.read(0)
    np.testing.assert_allclose(state.deflections, [0, 0, 0, 0, 1, 0])
    assert state.buttons == (True, False)


def test_a_stick_within_the_rest_that_the_kernel_tells_is_at_rest(hands, gamepad):
    hands.send(ecodes.EV_ABS, ecodes.ABS_RX, 120)
    hands.send(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)
    assert not gamepad.read(0).deflections.any()


def test_a_stick_that_hangs_when_it_is_opened_moves_nothing(hands):
    hands.values[ecodes.ABS_RY] = -20000  # no event: the kernel is asked
    gamepad = opened()
    hands.press("BTN_TL")
    state = gamepad.read(0)
    assert not state.deflections.any()
    assert not any(state.buttons)
    assert state.refusal.code is PointerFault.OFF_CENTRE


def test_a_button_that_is_held_when_it_is_opened_is_not_the_dead_man(hands):
    hands.pressed.add(ecodes.BTN_TL)
    gamepad = opened()
    hands.move(ABS_RY=-1.0)
    state = gamepad.read(0)
    assert not any(state.buttons)
    assert not state.deflections.any()


def test_a_dead_man_held_while_nothing_comes_is_released_in_a_second(hands, gamepad):
    hands.press("BTN_TL")
    hands.move(ABS_RY=-1.0)
    assert gamepad.read(0).deflections.any()
    assert gamepad.read(1000 * MS).deflections.any()
    state = gamepad.read(1010 * MS)
    assert not state.deflections.any()
    assert not any(state.buttons)
    assert state.refusal.code is PointerFault.SILENT


def test_events_that_the_kernel_dropped_are_asked_for_and_the_dead_man_counts_no_more(
    hands, gamepad
):
    hands.press("BTN_TL")
    hands.move(ABS_RY=-1.0)
    assert gamepad.read(0).deflections.any()
    hands.send(ecodes.EV_SYN, ecodes.SYN_DROPPED, 0)
    hands.pressed.clear()  # the release was among what was dropped
    hands.values[ecodes.ABS_RY] = 0
    hands.send(ecodes.EV_ABS, ecodes.ABS_RY, -32768)  # part of a torn report
    assert not any(gamepad.read(10 * MS).buttons)
    hands.send(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)
    states = [gamepad.read(t * MS) for t in range(20, 400, 10)]
    assert not any(any(state.buttons) or state.deflections.any() for state in states)
    assert states[0].refusal.code is PointerFault.REPORTS_LOST
    hands.press("BTN_TL")
    hands.move(ABS_RY=-1.0)
    assert gamepad.read(500 * MS).deflections.any()


def test_a_value_far_beyond_the_range_is_refused(hands, gamepad):
    hands.press("BTN_TL")
    hands.send(ecodes.EV_ABS, ecodes.ABS_RY, -(2**30))
    state = gamepad.read(0)
    assert not state.deflections.any()
    assert state.refusal.code is PointerFault.OUT_OF_RANGE


def test_an_unplugged_gamepad_is_not_connected_and_is_looked_for_once_a_second(hands, gamepad):
    hands.press("BTN_TL")
    hands.move(ABS_RY=-1.0)
    gamepad.read(0)
    hands.unplug()
    state = gamepad.read(10 * MS)
    assert not state.connected
    assert not state.deflections.any()
    assert not any(state.buttons)
    hands.plug()
    assert not gamepad.read(1000 * MS).connected
    back = gamepad.read(1010 * MS)
    assert back.connected
    assert back.refusal.code is PointerFault.OFF_CENTRE, "still held as before it went"


def test_a_closed_gamepad_is_not_looked_for(gamepad):
    gamepad.close()
    assert not any(gamepad.read(t * 500 * MS).connected for t in range(10))


def refusal(config=CONFIG):
    with pytest.raises(DeviceError) as caught:
        Gamepad(config).open()
    return str(caught.value)


def test_no_gamepad_is_refused_with_what_to_do(kernel):
    assert "no gamepad among the input devices that this user may read: plug one in" in refusal()


def test_of_several_gamepads_the_rig_file_names_one(plug):
    first, second = plug("event1"), plug("event2")
    assert f"found {first.path} (Xbox Wireless Controller), {second.path}" in refusal()
    gamepad = opened(GamepadConfig(device=second.path))
    assert gamepad.describe() == f"Xbox Wireless Controller at {second.path}"


def test_what_is_no_gamepad_is_not_taken_for_one(plug):
    mouse = plug(axes={"ABS_X": (0, 255, 0, 0)}, buttons=("BTN_LEFT",), name="Tablet")
    assert "no gamepad" in refusal()
    assert f"{mouse.path}, Tablet, which is no gamepad" in refusal(GamepadConfig(device=mouse.path))


def test_a_device_file_that_is_not_there_is_refused(kernel):
    message = refusal(GamepadConfig(device="/dev/input/event77"))
    assert "teleop.pointer.device is /dev/input/event77: No such file" in message


def test_a_button_that_it_lacks_is_refused_with_those_it_has(plug):
    plug(buttons=XBOX_BUTTONS[:5])
    message = refusal()
    assert "has no button BTN_TR, which teleop.pointer.gripper_button asks for" in message
    assert "BTN_TL" in message


def test_an_axis_that_it_lacks_is_refused(plug):
    plug(axes={name: of for name, of in XBOX_AXES.items() if name != "ABS_RZ"})
    assert "has no axis ABS_RZ, which teleop.pointer.axes asks for" in refusal()


def test_a_name_that_linux_does_not_know_is_refused(hands):
    message = refusal(GamepadConfig(deadman_button="BTN_NOSE"))
    assert "teleop.pointer names BTN_NOSE, which is no axis or button of Linux" in message


def test_missing_evdev_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "evdev", None)
    assert "pip install 'carp_ros[gamepad]'" in refusal()


@pytest.fixture
def gone(hands, monkeypatch):
    """Let the gamepad vanish while its axes are asked for; closing its file fails then, too."""
    real = evdev.InputDevice.close

    def answer(fd, code):
        hands.unplug()
        raise OSError(errno.ENODEV, "No such device")

    def close(device):
        real(device)
        if not hands.plugged:
            raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(evdev.device._input, "ioctl_EVIOCGABS", answer)
    monkeypatch.setattr(evdev.InputDevice, "close", close)


@pytest.mark.parametrize("named", [True, False])
def test_a_gamepad_that_vanishes_while_it_is_opened_is_refused(hands, gone, named):
    with pytest.raises(DeviceError, match="plug it in again"):
        Gamepad(GamepadConfig(device=hands.path if named else "")).open()


def test_a_gamepad_that_vanishes_while_it_is_reopened_is_looked_for_again(hands, gamepad, gone):
    hands.unplug()
    assert not gamepad.read(0).connected
    hands.plug()
    assert not gamepad.read(1_100 * MS).connected


def test_a_device_file_that_vanishes_while_all_are_listed_is_refused(kernel, monkeypatch):
    def listed(writable=True):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/dev/input/event9")

    monkeypatch.setattr(evdev, "list_devices", listed)
    with pytest.raises(DeviceError, match="event9"):
        Gamepad(CONFIG).open()


def test_a_gamepad_s_own_words_do_not_control_the_terminal(plug):
    plug(name="Pad\x1b[2J")
    gamepad = opened()
    assert gamepad.describe().startswith("Pad\\x1b[2J at ")
    with pytest.raises(DeviceError, match=r"^[ -~]+$"):
        Gamepad(GamepadConfig(deadman_button="BTN_TOUCH")).open()
