"""Rig files: what loads must not be able to hurt."""

from __future__ import annotations

import dataclasses
import math
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bench.faults.campaign import Chance, Mutation, Spoilt
from bench.faults.files import replace_file, spoil_bytes
from bench.faults.hostile import NAMES, shown
from bench.faults.trees import spoil_text, spoil_tree, text_of
from carp_ros.rig import load_rig
from carp_ros.share import share_folder
from carp_ros.system.bringup import describe

_FILE = "cell_7.yaml"

Check = Callable[[Any], bool]


def _within(low: float, high: float) -> Check:
    def check(value: Any) -> bool:
        return _is_number(value) and low <= value <= high

    return check


def _above(low: float, high: float) -> Check:
    def check(value: Any) -> bool:
        return _is_number(value) and low < value <= high

    return check


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return check


def _one_of(*known: Any) -> Check:
    return lambda value: type(value) is str and value in known


def _like(pattern: str) -> Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _none_or(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


_HOST = r"[A-Za-z0-9]([A-Za-z0-9_.:-]{0,251}[A-Za-z0-9])?"
_NAME = r"[A-Za-z][A-Za-z0-9_]{0,60}"

SANE: dict[str, Check] = {
    "name": lambda value: isinstance(value, str) and bool(value),
    r"home_joints_rad\.\d": _within(-6.3, 6.3),
    "arm.driver": _one_of("ur", "fr3"),
    "arm.host": _like(_HOST),
    "arm.gain": _within(100, 2000),
    "arm.lookahead_s": _within(0.03, 0.2),
    "arm.watchdog_hz": _within(1, 500),
    "arm.state_timeout_s": _above(0, 1),
    r"arm.stiffness_nm_rad\.\d": _within(1, 2000),
    r"arm.damping_nm_s_rad\.\d": _within(1, 200),
    "arm.collision_torque_nm": _within(1, 100),
    "arm.collision_force_n": _within(1, 100),
    "arm.enforce_realtime": lambda value: isinstance(value, bool),
    "gripper.driver": _one_of("robotiq", "franka_hand"),
    "gripper.host": _like(_HOST),
    "gripper.port": _whole(1, 65535),
    "gripper.speed": _within(0, 1),
    "gripper.force": _within(0, 1),
    "gripper.speed_m_s": _within(0.001, 0.2),
    "gripper.force_n": _within(0.01, 70),
    r"tool.position_m\.\d": _within(-1, 1),
    r"tool.quaternion\.\d": _within(-1, 1),
    r"limits.workspace_(min|max)_m\.\d": _within(-3, 3),
    "limits.allow_faster_than_default": lambda value: isinstance(value, bool),
    "limits.max_linear_speed_m_s": _above(0, 1),
    "limits.max_angular_speed_rad_s": _above(0, 3.2),
    "limits.max_linear_acceleration_m_s2": _above(0, 10),
    "limits.max_angular_acceleration_rad_s2": _above(0, 30),
    "limits.max_joint_speed_rad_s": _above(0, 3.2),
    "limits.max_joint_acceleration_rad_s2": _above(0, 40),
    "limits.joint_margin_rad": _within(0, 1.5),
    "limits.max_jump_m": _above(0, 0.5),
    "limits.max_jump_rad": _above(0, 3.2),
    "limits.max_tracking_error_m": _above(0, 0.5),
    "limits.max_tracking_error_rad": _above(0, 3.2),
    "limits.condition_slow": _within(1, 1000),
    "limits.condition_stop": _within(1, 1000),
    "limits.twist_timeout_s": _above(0, 1),
    "limits.chunk_timeout_s": _above(0, 5),
    "limits.camera_timeout_s": _above(0, 5),
    "servo.rate_hz": _within(100, 1000),
    "servo.blend_s": _within(0, 2),
    "servo.priority": _whole(0, 99),
    "servo.require_realtime": lambda value: isinstance(value, bool),
    "servo.cpu": _whole(-1, 4096),
    "servo.heartbeat_timeout_s": _above(0, 2),
    "teleop.device": _one_of("pointer", "demonstrator"),
    "teleop.rate_hz": _within(5, 1000),
    "teleop.linear_speed_m_s": _above(0, 1),
    "teleop.angular_speed_rad_s": _above(0, 3.2),
    "teleop.dead_zone": lambda value: _within(0, 1)(value) and value < 1,
    "teleop.exponent": _within(0.1, 10),
    rf"cameras\.{_NAME}\.driver": _one_of("cell", "opencv", "realsense", "external"),
    rf"cameras\.{_NAME}\.(device|serial|playback_file|fourcc)": lambda value: type(value) is str,
    rf"cameras\.{_NAME}\.buffers": _whole(1, 10),
    rf"cameras\.{_NAME}\.depth": lambda value: isinstance(value, bool),
    rf"cameras\.{_NAME}\.exposure_us": _none_or(_within(1, 1e6)),
    rf"cameras\.{_NAME}\.(gain|focus)": _none_or(_within(0, 1e4)),
    rf"cameras\.{_NAME}\.white_balance_k": _none_or(_within(1000, 12000)),
    "teleop.frame": _one_of("base", "tool"),
    r"teleop.axis_scale\.\d": _within(-1, 1),
    "teleop.pointer.driver": _one_of("spacemouse", "gamepad"),
    "teleop.pointer.hand": _one_of("left", "right"),
    r"teleop.pointer.(deadman_button|gripper_button|episode_buttons\.\w+)": _like("[A-Z0-9_]*"),
    "teleop.pointer.both_buttons": lambda value: isinstance(value, bool),
    "teleop.pointer.deadman_timeout_s": _above(0, 30),
    "teleop.pointer.report_timeout_s": _above(0, 2),
    "teleop.pointer.(hid_path|device)": _like(r"(/dev/[\w./:-]+)?"),
    "teleop.pointer.model": _like(r"\w*"),
    r"teleop.pointer.axes\.\d": _like("-?ABS_[A-Z0-9]+|ABS_[A-Z0-9]+-ABS_[A-Z0-9]+"),
    rf"cameras\.{_NAME}\.(width|height)_px": _whole(8, 8192),
    rf"cameras\.{_NAME}\.rate_hz": _above(0, 240),
    rf"cameras\.{_NAME}\.latency_s": _within(-0.1, 1),
    r"latency\.(demonstrated_)?(action|gripper)_s": _none_or(_within(-0.1, 1)),
    "calibration.max_age_days": _whole(1, 3650),
    r"calibration\.required\.\d+": lambda value: type(value) is str,
    "calibration.max_tool_change_m": _within(0, 0.2),
    "limits.max_contact_force_n": _above(0, 300),
    "cell.task": _one_of("cup", "bowl"),
    "cell.level": _one_of("none", "normal", "hard"),
    "cell.seed": _whole(0, 2**63 - 1),
    "cell.fault_port": _whole(1, 65535),
}
"""What each value of a rig may be, by pattern of its place: this campaign's own opinion."""

_USUAL_M_S, _USUAL_RAD_S = 0.25, 0.6
_ARM_LENGTH_M = {"ur5e": 0.425 + 0.3922 + 0.0997 + 0.0996, "fr3": 0.855}


_DEVICES = """
wrist_cam: {driver: realsense, serial: "123456789012", width_px: 640, height_px: 480, rate_hz: 30.0,
            exposure_us: 8000.0, gain: 64.0, white_balance_k: 4600.0, depth: true}
third_cam: {driver: opencv, device: /dev/video0, width_px: 640, height_px: 480, rate_hz: 30.0,
            exposure_us: 8000.0, white_balance_k: 4600.0, focus: 30.0}
"""


class RigCampaign:
    """Through `load_rig` and `describe`, as every program that moves the arm begins.

    Args:
        robot: Whose shipped rigs are spoilt: ur5e or fr3.
    """

    def __init__(self, robot: str = "ur5e") -> None:
        self.name = "rig" if robot == "ur5e" else f"rig_{robot}"
        config = share_folder() / "config"
        self._shipped = (config / f"{robot}_sim.yaml").read_text()
        self._full = full_rig(config / f"{robot}_sim.yaml")
        real = yaml.safe_load((config / f"{robot}.yaml").read_text())
        self._real = real | {"cameras": yaml.safe_load(_DEVICES)}

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Ways to spoil it."""
        return (
            self.shipped_value,
            self.full_value,
            self.full_value_again,
            self.shipped_text,
            self.real_value,
            self.number,
            self.file_name,
            self.raw_bytes,
            self.instead,
        )

    def warm(self) -> None:
        """Import nothing: all is imported here."""

    def prepare(self, folder: Path) -> None:
        """Write the shipped rig."""
        (folder / _FILE).write_text(self._shipped)

    def copy(self, sound: Path, folder: Path) -> None:
        """Copy the file."""
        shutil.copy(sound / _FILE, folder / _FILE)

    def names(self, folder: Path) -> Sequence[str]:
        """Return the file's name, also as it is written where it would not print."""
        names = [path.name for path in folder.glob("*.y*ml")]
        return (*names, *(repr(name)[1:-1] for name in names), _FILE)

    def enter(self, folder: Path) -> Any:
        """Load the rig, and describe its system."""
        (path,) = (p for p in folder.iterdir()) if any(folder.iterdir()) else (folder / _FILE,)
        rig = load_rig(path)
        nodes = [describe(str(path), mode) for mode in ("teleop",)]
        return rig, nodes

    def dangers(self, taken: Any, spoilt: Spoilt, folder: Path) -> Sequence[str]:
        """Judge each number, and what only several of them tell together."""
        rig, nodes = taken
        found = [*insane(rig), *contradictions(rig)]
        if any(not isinstance(node.name, str) for described in nodes for node in described):
            found.append("a node has no name")
        return found

    def shipped_value(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil a value of the shipped file."""
        return self._value(chance, folder, yaml.safe_load(self._shipped))

    def real_value(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil a value of the file for a real arm."""
        return self._value(chance, folder, self._real)

    def full_value(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil a value of a file that has every key."""
        return self._value(chance, folder, self._full)

    def full_value_again(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil two values."""
        tree, first = spoil_tree(chance, self._full)
        tree, second = spoil_tree(chance, tree)
        _write(folder, text_of(tree, "yaml").encode("utf-8", "surrogatepass"))
        return Spoilt(f"{first}; {second}")

    def number(self, chance: Chance, folder: Path) -> Spoilt:
        """Give a number of a limit or a rate another, plausible at first sight."""
        content = yaml.safe_load(yaml.safe_dump(self._full))
        section = ("limits", "servo", "teleop", "arm", "gripper")[int(chance.integers(5))]
        numbers = [k for k, v in content[section].items() if isinstance(v, float)]
        key = numbers[int(chance.integers(len(numbers)))]
        factors = (-1, 0, 1e-9, 1e-3, 0.1, 10, 57.3, 100, 1000, 1e9)
        factor = factors[int(chance.integers(len(factors)))]
        was = content[section][key]
        content[section][key] = was * factor
        _write(folder, text_of(content, "yaml").encode())
        return Spoilt(f"{section}.{key}: {was} becomes {was * factor}")

    def shipped_text(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the text."""
        data, what = spoil_text(chance, self._shipped, "yaml")
        _write(folder, data)
        return Spoilt(what)

    def raw_bytes(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the bytes."""
        data, what = spoil_bytes(chance, self._shipped.encode())
        _write(folder, data)
        return Spoilt(what)

    def file_name(self, chance: Chance, folder: Path) -> Spoilt:
        """Give the file, or a camera, another name."""
        fitting = [name for name in NAMES if name.strip(".") and len(name) < 200]
        fitting = [name for name in fitting if not set(name) & {"/", "\x00"}]
        name = fitting[int(chance.integers(len(fitting)))]
        if chance.random() < 0.5:
            (folder / _FILE).rename(folder / f"{name}.yaml")
            return Spoilt(f"the file is called {shown(name)}.yaml")
        content = yaml.safe_load(self._shipped)
        name = NAMES[int(chance.integers(len(NAMES)))]
        content["cameras"][name] = content["cameras"].pop("third_cam")
        _write(folder, text_of(content, "yaml").encode())
        return Spoilt(f"a camera is called {shown(name)}")

    def instead(self, chance: Chance, folder: Path) -> Spoilt:
        """Put something else into the file's place."""
        return Spoilt(replace_file(chance, folder / _FILE))

    def _value(self, chance: Chance, folder: Path, tree: Any) -> Spoilt:
        changed, what = spoil_tree(chance, tree)
        _write(folder, text_of(changed, "yaml").encode("utf-8", "surrogatepass"))
        return Spoilt(what)


def _write(folder: Path, data: bytes) -> None:
    (folder / _FILE).write_bytes(data)


def full_rig(path: Path) -> dict[str, Any]:
    """Return a rig's file with every key written out."""
    rig = load_rig(path)
    whole = dataclasses.asdict(rig) | {"robot": rig.robot.name}
    for known_otherwise in ("name", "file"):
        whole.pop(known_otherwise, None)
    return yaml.safe_load(yaml.safe_dump(_lists(whole)))


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def insane(rig: Any) -> list[str]:
    """Return the values of a rig that the table does not allow, or does not know."""
    plain = dataclasses.asdict(rig)
    for known_otherwise in ("robot", "file"):
        plain.pop(known_otherwise)
    found = []
    for place, value in _leaves(plain):
        if place.startswith("cell") and value is None:
            continue
        checks = [check for pattern, check in SANE.items() if re.fullmatch(pattern, place)]
        if not checks and (place.startswith("cameras.") or not _harmless(value)):
            found.append(f"{shown(place)} = {shown(value)}: no such key or name is known here")
        elif not all(check(value) for check in checks):
            found.append(f"{shown(place)} = {shown(value)}")
    return found


def _harmless(value: Any) -> bool:
    """Tell whether a value that has no rule here does no harm at first sight."""
    return isinstance(value, (str, bool)) or value is None or _is_number(value)


def _leaves(tree: Any, before: str = "") -> list[tuple[str, Any]]:
    items: Any = ()
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, (list, tuple)):
        items = enumerate(tree)
    else:
        return [(before, tree)]
    return [leaf for key, value in items for leaf in _leaves(value, f"{before}.{key}".lstrip("."))]


def contradictions(rig: Any) -> list[str]:
    """Return what is wrong with values that are right one by one."""
    found = []
    drivers = {"ur5e": ("ur", "robotiq"), "fr3": ("fr3", "franka_hand")}[rig.robot.name]
    if (rig.arm.driver, rig.gripper.driver) != drivers:
        found.append(f"a {rig.robot.name} has the drivers {rig.arm.driver}, {rig.gripper.driver}")
    joints = np.array(rig.home_joints_rad, float)
    margin = rig.limits.joint_margin_rad
    lower, upper = np.array(rig.robot.lower_rad), np.array(rig.robot.upper_rad)
    if joints.shape != lower.shape:
        return [f"home has {joints.size} joints"]
    if ((joints < lower + margin) | (joints > upper - margin)).any():
        found.append(f"home {joints.tolist()} is outside the joints' limits")
    box = np.array([rig.limits.workspace_min_m, rig.limits.workspace_max_m], float)
    if (box[0] >= box[1]).any():
        found.append("the box is inside out")
    tool = np.array(rig.tool.position_m, float)
    quaternion = np.array(rig.tool.quaternion, float)
    if abs(np.linalg.norm(quaternion) - 1) > 0.01:
        found.append(f"the tool's quaternion is {quaternion.tolist()}")
    if rig.robot.name == "ur5e":
        home = ur5e_tool_position(joints, tool)
        if ((home < box[0] - 1e-6) | (home > box[1] + 1e-6)).any():
            found.append(f"home is at {home.round(3).tolist()}, outside the box {box.tolist()}")
    reach = _ARM_LENGTH_M[rig.robot.name] + float(np.linalg.norm(tool)) + 0.5
    if np.abs(box).max() > reach + 1.0:
        found.append(f"the box {box.tolist()} is far beyond the arm's {reach:.2f} m")
    nearest = np.linalg.norm(np.clip([0.0, 0.0, 0.3], box[0], box[1]) - [0.0, 0.0, 0.3])
    if nearest > reach:
        found.append("the box is out of reach")
    if not getattr(rig.limits, "allow_faster_than_default", False):
        speeds = (rig.limits.max_linear_speed_m_s, rig.limits.max_angular_speed_rad_s)
        if speeds[0] > _USUAL_M_S or speeds[1] > _USUAL_RAD_S:
            found.append(f"speeds {speeds}, and no second key that allows them")
    if rig.limits.condition_slow >= rig.limits.condition_stop:
        found.append("slowing begins after the stop")
    pointer = rig.teleop.pointer
    if pointer.deadman == pointer.gripper:
        found.append("one button holds the arm and moves the gripper")
    return found


def ur5e_tool_position(joints: np.ndarray, tool: np.ndarray) -> np.ndarray:
    """Return where the tool is, in base_link, by the manufacturer's table of the UR5e."""
    a = (0.0, -0.425, -0.3922, 0.0, 0.0, 0.0)
    d = (0.1625, 0.0, 0.0, 0.1333, 0.0997, 0.0996)
    alpha = (math.pi / 2, 0.0, 0.0, math.pi / 2, -math.pi / 2, 0.0)
    pose = np.diag([-1.0, -1.0, 1.0, 1.0])
    for theta, length, offset, turn in zip(joints, a, d, alpha):
        c, s, ca, sa = math.cos(theta), math.sin(theta), math.cos(turn), math.sin(turn)
        pose = pose @ np.array(
            [
                [c, -s * ca, s * sa, length * c],
                [s, c * ca, -c * sa, length * s],
                [0.0, sa, ca, offset],
                [0.0, 0.0, 0.0, 1.0],
            ]
        )
    return (pose @ np.array([*tool, 1.0]))[:3]
