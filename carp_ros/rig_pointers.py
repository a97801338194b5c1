"""The sections of a rig file that select the driver of the operator's pointer, one per driver.

They say which device it is and what its buttons do; how deflections become a twist is the same for
all of them and is in `TeleopConfig`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from carp_ros.strict import Between, Matching, Otherwise, Sized
from carp_ros.types import Wish

Hand = Literal["right", "left"]

Button = Annotated[
    str, Matching("[A-Z][A-Z0-9_]{0,30}", "the name of a button in capitals, as LEFT or BTN_TL")
]
ButtonOrHands = Annotated[
    str, Matching("([A-Z][A-Z0-9_]{0,30})?", "the name of a button in capitals, as LEFT or BTN_TL")
]
Buttons = Annotated[dict[Wish, Button], Sized(0, 7)]

SpaceMouseModel = Literal[
    "announced",
    "SpaceExplorer",
    "SpaceMouseCompact",
    "SpaceMouseEnterprise",
    "SpaceMousePro",
    "SpaceMouseProWireless",
    "SpaceMouseProWirelessBluetooth",
    "SpaceMouseUSB",
    "SpaceMouseWireless",
    "SpaceMouseWirelessNew",
    "SpaceNavigator",
    "SpacePilot",
    "SpacePilotPro",
    "UniversalReceiver",
]
"""`announced`, and the models that pyspacemouse knows, by its own names."""

_ABS = "ABS_[A-Z0-9]{1,12}"
SixAxes = tuple[str, str, str, str, str, str]


@dataclass(frozen=True)
class PointerSection:
    """Fields common to the sections of all pointers.

    Attributes:
        buttons_of_hands: Names of the dead-man and the gripper button for each hand.
        driver: Name of the driver; a literal in each subclass.
        hand: Hand that steers; it chooses those buttons that are not named.
        deadman_button: The arm moves only while it is held; empty: as `hand` says.
        gripper_button: Toggles the gripper; empty: as `hand` says.
        episode_buttons: Buttons that make a wish about the episode; `discard` has to be held.
        both_buttons: Whether the dead-man and the gripper button pressed together start and stop an
            episode, and held together discard it.
        deadman_timeout_s: A dead-man held longer than this without any report counts as released
            until everything was let go: the device's battery may be empty, or its radio link gone.
    """

    buttons_of_hands: ClassVar[dict[Hand, tuple[str, str]]]

    driver: str = ""
    hand: Hand = "right"
    deadman_button: ButtonOrHands = ""
    gripper_button: ButtonOrHands = ""
    episode_buttons: Buttons = field(default_factory=dict)
    both_buttons: bool = True
    deadman_timeout_s: Annotated[float, Between(0.2, 30.0)] = 5.0

    @property
    def deadman(self) -> str:
        """Name of the dead-man button."""
        return self.deadman_button or self.buttons_of_hands[self.hand][0]

    @property
    def gripper(self) -> str:
        """Name of the gripper button."""
        return self.gripper_button or self.buttons_of_hands[self.hand][1]

    @property
    def named_buttons(self) -> dict[str, str]:
        """The name of each button that is used, by its key in the rig file."""
        wishes = {f"episode_buttons.{wish}": name for wish, name in self.episode_buttons.items()}
        return {"deadman_button": self.deadman, "gripper_button": self.gripper} | wishes

    def contradictions(self) -> Iterator[str]:
        """Yield keys that share a button."""
        keys: dict[str, str] = {}
        for key, name in self.named_buttons.items():
            if name in keys:
                yield f"{keys[name]} and {key} are both {name}; expected a button of its own each"
            keys[name] = key


@dataclass(frozen=True)
class SpaceMouseConfig(PointerSection):
    """A 3Dconnexion SpaceMouse, read through pyspacemouse and hidapi.

    Buttons have pyspacemouse's names. LARGE_LEFT and LARGE_RIGHT are the two large ones of every
    model, which pyspacemouse calls LEFT and RIGHT, MENU and FIT, or BTN_1 and BTN_2.

    Attributes:
        driver: `spacemouse`.
        hid_path: Device file of the mouse, or a udev link to it; empty: the first connected mouse
            that reports.
        model: Model whose reports the mouse sends, if it announces itself as another product, as
            one behind a receiver does, or as one that pyspacemouse does not know; `announced`: the
            one that it announces.
        report_timeout_s: Deflections older than this count as zero.
    """

    buttons_of_hands: ClassVar[dict[Hand, tuple[str, str]]] = {
        "right": ("LARGE_LEFT", "LARGE_RIGHT"),  # the thumb on the dead-man
        "left": ("LARGE_RIGHT", "LARGE_LEFT"),
    }

    driver: Literal["spacemouse"] = "spacemouse"
    hid_path: Annotated[
        str,
        Matching(r"(/dev/[\w./:-]+)?", "a device file, as /dev/hidraw3, or nothing"),
    ] = ""
    model: SpaceMouseModel = "announced"
    report_timeout_s: Annotated[float, Between(0.05, 1.0)] = 0.2


@dataclass(frozen=True)
class GamepadConfig(PointerSection):
    """A gamepad, read through evdev. Axes and buttons have the kernel's names.

    Attributes:
        driver: `gamepad`.
        device: Device file, as `/dev/input/by-id/...-event-joystick`; empty: the only gamepad.
        axes: What moves x, y, z, roll, pitch and yaw: one axis about its centre, as `-ABS_Y`, or
            two that rest at their minimum, as `ABS_RZ-ABS_Z`. None: for the kernel's layout, with
            the stick of `hand` for x and y, triggers for z, the cross for roll, and the other stick
            for pitch and yaw.
    """

    buttons_of_hands: ClassVar[dict[Hand, tuple[str, str]]] = {
        "right": ("BTN_TL", "BTN_TR"),  # an index finger each
        "left": ("BTN_TR", "BTN_TL"),
    }
    axes_of_hands: ClassVar[dict[Hand, SixAxes]] = {
        "right": ("-ABS_RY", "-ABS_RX", "ABS_RZ-ABS_Z", "ABS_HAT0X", "-ABS_Y", "-ABS_X"),
        "left": ("-ABS_Y", "-ABS_X", "ABS_RZ-ABS_Z", "ABS_HAT0X", "-ABS_RY", "-ABS_RX"),
    }

    driver: Literal["gamepad"] = "gamepad"
    episode_buttons: Buttons = field(
        default_factory=lambda: {"toggle": "BTN_START", "discard": "BTN_SELECT"}
    )
    both_buttons: bool = False
    # A gamepad reports changes only, so a stick that is held still is silent, too.
    deadman_timeout_s: Annotated[float, Between(0.2, 30.0)] = 1.0
    device: Annotated[
        str,
        Matching(r"(/dev/[\w./:-]+)?", "a device file, as /dev/input/event5, or nothing"),
    ] = ""
    axes: (
        Annotated[
            SixAxes,
            Matching(f"-?{_ABS}|{_ABS}-{_ABS}", "an axis, as -ABS_Y, or two, as ABS_RZ-ABS_Z"),
        ]
        | None
    ) = None

    @property
    def six_axes(self) -> SixAxes:
        """What moves each axis."""
        return self.axes or self.axes_of_hands[self.hand]


PointerConfig = Annotated[SpaceMouseConfig | GamepadConfig, Otherwise("spacemouse")]
"""Sections of all pointer drivers, distinguished by `driver`."""
