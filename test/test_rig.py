"""Tests for rig.py: the shipped files load, and a wrong file is refused by name."""

from pathlib import Path

import pytest
import yaml

from carp_ros.rig import load_rig
from carp_ros.robots import ROBOTS

CONFIG = Path(__file__).parents[1] / "config"
SHIPPED = sorted(
    path for path in CONFIG.glob("*.yaml") if "robot" in yaml.safe_load(path.read_text())
)

MINIMAL = {
    "robot": "ur5e",
    "home_joints_rad": [0.0, -1.6, 1.6, -1.6, -1.6, 0.0],
    "arm": {},
    "gripper": {},
    "tool": {},
    "limits": {"workspace_min_m": [0.2, -0.4, 0.0], "workspace_max_m": [0.7, 0.4, 0.5]},
    "servo": {},
    "teleop": {},
    "cameras": {},
}


@pytest.fixture
def load(tmp_path):
    """Load the minimal rig with some sections changed; None leaves a section out."""

    def load(**changes):
        content = {k: v for k, v in {**MINIMAL, **changes}.items() if v is not None}
        path = tmp_path / "bench.yaml"
        path.write_text(yaml.safe_dump(content))
        return load_rig(path)

    return load


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_rig_loads_and_its_home_is_within_the_joint_limits(path):
    rig = load_rig(path)

    assert rig.name == path.stem
    limits = zip(rig.robot.lower_rad, rig.home_joints_rad, rig.robot.upper_rad)
    assert all(
        low + rig.limits.joint_margin_rad < home < high - rig.limits.joint_margin_rad
        for low, home, high in limits
    )


def test_a_rig_is_shipped():
    assert SHIPPED


def test_missing_keys_take_their_defaults_and_integers_stand_for_numbers(load):
    rig = load(servo={"rate_hz": 250}, cameras={"wrist_cam": {"width_px": 640}})

    assert rig.name == "bench"
    assert rig.robot is ROBOTS["ur5e"]
    assert rig.servo.rate_hz == 250.0
    assert isinstance(rig.servo.rate_hz, float)
    assert rig.cameras["wrist_cam"].width_px == 640
    assert rig.cameras["wrist_cam"].height_px == 320 * 3 // 4
    assert rig.cell is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"armm": {}}, "unknown key 'armm'; expected some of .*robot"),
        ({"servo": {"rate": 250}}, "servo: unknown key 'rate'; expected some of rate_hz"),
        (
            {"limits": {"workspace_min_m": [0, 0, 0]}},
            "limits: key 'workspace_max_m' is missing; add it",
        ),
        ({"arm": None}, "key 'arm' is missing; add it"),
        ({"robot": "ur5"}, "robot is 'ur5'; expected one of ur5e, fr3"),
        ({"servo": {"rate_hz": "fast"}}, "servo: rate_hz is 'fast'; expected a float"),
        ({"servo": {"priority": 40.0}}, "servo: priority is 40.0; expected a int"),
        ({"servo": {"require_realtime": 1}}, "require_realtime is 1; expected a bool"),
        ({"servo": {"rate_hz": True}}, "rate_hz is True; expected a float"),
        ({"servo": {"priority": True}}, "servo: priority is True; expected a int"),
        ({"limits": {"max_jump_m": float("nan")}}, "max_jump_m is nan; expected a finite number"),
        ({"limits": {"max_jump_m": float("inf")}}, "max_jump_m is inf; expected a finite number"),
        ({"servo": 500}, "servo is 500; expected keys of ServoConfig"),
        ({"cameras": ["wrist_cam"]}, r"cameras is \['wrist_cam'\]; expected named sections"),
        ({"cameras": {"wrist_cam": {"fps": 30}}}, r"cameras.wrist_cam: unknown key 'fps'"),
        ({"tool": {"position_m": 0.1}}, "tool: position_m is 0.1; expected a list"),
        ({"tool": {"position_m": [0.0, 0.1]}}, "tool: position_m has 2 numbers; expected 3"),
        ({"tool": {"position_m": [0.0, "x", 0.1]}}, r"position_m\[1\] is 'x'; expected a float"),
        ({"home_joints_rad": [0.0, 1.0]}, "home_joints_rad has 2 numbers; ur5e has 6 joints"),
        (
            {"limits": {"workspace_min_m": [0.2, 0.5, 0.0], "workspace_max_m": [0.7, 0.5, 0.5]}},
            "limits.workspace_min_m is not below limits.workspace_max_m",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_key_with_what_was_expected(load, changes, message):
    with pytest.raises(ValueError, match=rf"bench\.yaml.*{message}"):
        load(**changes)


def test_a_missing_file_is_refused_with_the_rigs_that_there_are(load, tmp_path):
    load()

    with pytest.raises(ValueError, match=r"no rig file .*lab\.yaml; rigs in .*: bench"):
        load_rig(tmp_path / "lab.yaml")


@pytest.mark.parametrize(
    ("text", "message"), [("a: [1", "is not YAML"), ("", "holds NoneType"), ("- 1", "holds list")]
)
def test_a_file_of_another_kind_is_refused(tmp_path, text, message):
    path = tmp_path / "bench.yaml"
    path.write_text(text)

    with pytest.raises(ValueError, match=rf"bench\.yaml {message}"):
        load_rig(path)
