"""Tests for rig.py: the shipped files load, and a wrong file is refused by name."""

import os
import re
import tempfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.rig import LimitsConfig, Rig, load_rig
from carp_ros.rig_sections import FASTEST, LevelName, TaskName
from carp_ros.robots import ROBOTS
from carp_ros.sim.levels import LEVELS
from carp_ros.sim.tasks import TASKS

from .neighbours import changed, fields_of, unruled

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
    cameras = {"wrist_cam": {"driver": "external", "width_px": 640}}
    rig = load(servo={"rate_hz": 250}, cameras=cameras)

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
        (
            {"cameras": {"wrist_cam": {"driver": "cell", "fps": 30}}},
            r"cameras.wrist_cam: unknown key 'fps'",
        ),
        ({"cameras": {"wrist_cam": {}}}, "'driver' is missing; add it: cell, external"),
        ({"tool": {"position_m": 0.1}}, "tool: position_m is 0.1; expected a list"),
        ({"tool": {"position_m": [0.0, 0.1]}}, "tool: position_m has 2 numbers; expected 3"),
        ({"tool": {"position_m": [0.0, "x", 0.1]}}, r"position_m\[1\] is 'x'; expected a float"),
        ({"home_joints_rad": [0.0, 1.0]}, "home_joints_rad has 2 numbers; ur5e has 6 joints"),
        (
            {"limits": {"workspace_min_m": [0.2, 0.5, 0.0], "workspace_max_m": [0.7, 0.5, 0.5]}},
            "limits: workspace_min_m is not below workspace_max_m",
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


FULL = {
    "robot": "ur5e",
    "home_joints_rad": [-0.3007, -1.7173, 1.7365, -1.59, -1.5708, -1.8715],
    "arm": {},
    "gripper": {},
    "tool": {},
    "limits": {"workspace_min_m": [0.2, -0.45, 0.015], "workspace_max_m": [0.75, 0.45, 0.55]},
    "servo": {},
    "teleop": {},
    "cameras": {"any": {"driver": "external"}},
    "cell": {},
}
FIELDS = [field for field in fields_of(Rig) if field.path[0] not in ("name", "file", "calibrated")]


def read(content: object) -> Rig:
    """Read a rig from a file of the JSON that every YAML reader reads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.yaml"
        path.write_text(yaml.safe_dump(content))
        return load_rig(path)


def refusal_of(content: object) -> str:
    """Return how a rig is refused, empty if it is not; any error but a ValueError is raised."""
    try:
        read(content)
    except ValueError as error:
        return str(error)
    return ""


def test_every_number_and_every_text_of_a_rig_has_a_rule():
    named = ["calibrated", "file", "robot"]  # ours, of other files, and read by its name
    assert [path for path in unruled(Rig) if path.split(".")[0] not in named] == []


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.words)
def test_a_value_at_the_edge_of_its_range_loads_unless_it_contradicts_another(field):
    for value in field.inside:
        refusal = refusal_of(changed(FULL, field.path, value))
        assert not re.search(rf"{field.path[-1]} is .*; expected \S+ (to|or|of) ", refusal), refusal


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.words)
def test_a_value_beyond_its_range_is_refused_in_one_line_by_file_key_value_and_range(field):
    for value in field.outside:
        refusal = refusal_of(changed(FULL, field.path, value))
        assert re.match(rf".*bench\.yaml.*{field.path[-1]}.*expected", refusal), refusal
        assert "\n" not in refusal
        assert len(refusal) < 800


@st.composite
def rigs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a rig that is right: each number in its range, and at peace with the others."""
    limits = {
        name: draw(st.floats(low, default))
        for name, (low, default) in {
            "max_linear_speed_m_s": (0.001, 0.25),
            "max_angular_speed_rad_s": (0.01, 0.6),
            "max_linear_acceleration_m_s2": (0.05, 1.0),
            "max_joint_speed_rad_s": (0.01, 1.0),
            "joint_margin_rad": (0.0, 0.5),
            "max_jump_m": (0.001, 0.15),
            "condition_slow": (2.0, 59.0),
            "twist_timeout_s": (0.1, 0.5),
            "camera_timeout_s": (0.25, 5.0),
        }.items()
    }
    rate_hz = draw(st.floats(100.0, 500.0))
    cameras = draw(
        st.dictionaries(
            st.from_regex(r"[a-z][a-z0-9_]{0,20}_cam", fullmatch=True),
            st.fixed_dictionaries(
                {
                    "driver": st.just("external"),
                    "width_px": st.integers(8, 2048).map(lambda half: 2 * half),
                    "rate_hz": st.floats(6.0, 240.0),
                }
            ),
            max_size=3,
        )
    )
    return FULL | {
        "limits": FULL["limits"] | limits,
        "arm": {
            "gain": draw(st.floats(100.0, 2000.0)),
            "watchdog_hz": draw(st.floats(10.0, rate_hz / 5.0)),
        },
        "servo": {"rate_hz": rate_hz, "cpu": draw(st.integers(-1, 1023))},
        "cameras": cameras,
        "cell": draw(st.none() | st.fixed_dictionaries({"seed": st.integers(0, 2**31 - 1)})),
    }


@given(content=rigs(), index=st.integers(0, len(FIELDS) - 1), data=st.data())
def test_a_right_rig_loads_as_it_stands_and_none_of_its_wrong_neighbours_does(content, index, data):
    rig = read(content)
    assert rig.servo.rate_hz == content["servo"]["rate_hz"]
    assert rig.limits.max_linear_speed_m_s == content["limits"]["max_linear_speed_m_s"]
    assert set(rig.cameras) == set(content["cameras"])

    field = FIELDS[index]
    value = data.draw(st.sampled_from(field.outside))
    content["cell"], content["cameras"] = content["cell"] or {}, FULL["cameras"]
    assert "bench.yaml" in refusal_of(changed(content, field.path, value))


BOX = FULL["limits"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm": {"driver": "kuka"}}, "arm: driver is 'kuka'; expected one of ur"),
        ({"gripper": {"driver": "robot)q"}}, r"driver is 'robot\)q'; expected one of robotiq"),
        ({"cameras": {"wrist_cam": {"driver": "usb"}}}, "expected one of cell, external"),
        ({"cell": {"level": "norial"}}, "level is 'norial'; expected one of none, normal, hard"),
        ({"cell": {"task": "teapot"}}, "task is 'teapot'; expected one of cup, bowl"),
        ({"teleop": {"dead_zone": 0.95}}, "teleop: dead_zone is 0.95; expected 0 to 0.9"),
        ({"teleop": {"axis_scale": [1, 1, 1.5, 1, 1, 1]}}, "axis_scale is .*; expected -1 to 1"),
        ({"teleop": {"device": "joystick"}}, "expected one of pointer, demonstrator"),
        ({"robot": "fr3"}, "robot is fr3, but arm.driver is ur, which supports only ur5e"),
        ({"servo": {"rate_hz": 1000}}, "servo.rate_hz is 1000; arm.driver ur takes at most 500"),
        ({"tool": {"quaternion": [0, 0, 0, 0]}}, "quaternion .* expected a length of 1, not 0"),
        ({"tool": {"quaternion": [0, 0, 1, 1]}}, "expected a length of 1, not 1.414: divide each"),
        ({"home_joints_rad": [0, -1.6, 4, -1.6, -1.6, 0]}, "puts elbow_joint at 4; expected -3.04"),
        ({"home_joints_rad": [3, -1.7, 1.7, -1.6, -1.6, 0]}, "puts the TCP at .* outside the work"),
        ({"limits": BOX | {"workspace_max_m": [2.0, 0.45, 0.55]}}, "corner of the workspace is"),
        ({"limits": BOX | {"max_linear_speed_m_s": 0.3}}, "expected 0.25 at most, or allow_faster"),
        ({"limits": BOX | {"condition_slow": 60}}, "condition_slow is 60; expected less than"),
        (
            {"cameras": {"any": {"driver": "external", "rate_hz": 5}}},
            "cameras.any has 0.2 s between images",
        ),
        ({"limits": BOX | {"twist_timeout_s": 0.02}, "teleop": {"rate_hz": 50}}, "two periods"),
        (
            {"arm": {"guided_axes": ["x", "w"]}},
            r"\[1\] is 'w'; expected one of x, y, z, rx, ry, rz",
        ),
        ({"arm": {"guided_axes": ["z", "x", "z"]}}, "has z more than once; expected each axis"),
        ({"arm": {"guided_axes": []}}, "guided_axes is .* expected 1 to 6 of them"),
        ({"arm": {"guided_axes": "xyz"}}, "guided_axes is 'xyz'; expected a list"),
        ({"arm": {"guided_axes": [0, 1, 1]}}, "guided_axes.0. is 0; expected one of x, y"),
        ({"arm": {"guided_frame": "flange"}}, "'flange'; expected one of base, tool"),
        ({"arm": {"driver": "fr3", "guided_axes": ["x"]}}, "unknown key 'guided_axes'"),
        ({"servo": {"rate_hz": 100}, "arm": {"watchdog_hz": 50}}, "watchdog_hz is 50 Hz; expected"),
        ({"servo": {"rate_hz": 100}, "arm": {"state_timeout_s": 0.02}}, "1 / arm.state_timeout_s"),
        (
            {"teleop": {"pointer": {"deadman_button": "LARGE_RIGHT"}}},
            "deadman_button and gripper_button are both LARGE_RIGHT",
        ),
        ({"teleop": {"pointer": {"deadman_button": "left"}}}, "expected the name of a button"),
        ({"teleop": {"pointer": {"driver": "mouse"}}}, "expected one of spacemouse, gamepad"),
        ({"teleop": {"pointer": {"model": "SpaceBall"}}}, "'SpaceBall'; expected one of"),
        ({"teleop": {"pointer": {"episode_buttons": {"sucess": "A"}}}}, "expected one of start"),
        (
            {"teleop": {"pointer": {"driver": "gamepad", "axes": ["ABS_X"] * 5}}},
            "axes has 5 numbers; expected 6",
        ),
        (
            {"teleop": {"pointer": {"driver": "gamepad", "axes": ["ABS_X+ABS_Y"] * 6}}},
            "expected an axis, as -ABS_Y",
        ),
        ({"cameras": {"wrist cam": {}}}, "cameras: key is 'wrist cam'; expected a name"),
        ({"cameras": {"a/b": {}}}, "cameras: key is 'a/b'; expected a name"),
        ({"cameras": {"a.b": {}}}, "cameras: key is 'a.b'; expected a name"),
        ({"cameras": {"joint_states": {"driver": "external"}}}, "is reserved for this package"),
        ({"cameras": {"policy_node": {"driver": "external"}}}, "is reserved for this package"),
        ({"cameras": {"any": {"driver": "external", "width_px": 321}}}, "expected an even number"),
        (
            {"cameras": {"belly_cam": {"driver": "cell"}}},
            "'belly_cam' is not in the cell; expected wrist_cam",
        ),
        (
            {"cameras": {"wrist_cam": {"driver": "cell"}}, "cell": None},
            "expected opencv, realsense, or external and a ROS driver",
        ),
        ({"teleop": {"device": "demonstrator"}, "cell": None}, "expected pointer"),
        ({"arm": {"host": "192.168.1.10"}}, "arm.host is 192.168.1.10, but there is a cell"),
        ({"arm": {"driver": "ros2_control"}}, "emulates the controllers of ur and fr3 only"),
        (
            {"arm": {"driver": "ros2_control", "host": "127.0.0.2"}},
            "unknown key 'host'",
        ),
        (
            {"arm": {"driver": "ros2_control", "joint_states_topic": "joint_states"}},
            "an absolute name in ROS's graph",
        ),
        ({"gripper": {"host": "192.168.1.10"}}, "expected 127.0.0.2"),
        ({"cell": {"fault_port": 30004}}, "fault_port is 30004, which another service has"),
        ({"name": "other"}, "unknown key 'name'; remove it"),
        ({"file": "a.yaml"}, "unknown key 'file'; remove it"),
    ],
)
def test_what_may_not_be_together_is_refused_with_what_was_expected(changes, message):
    assert re.search(rf"bench\.yaml: .*{message}", refusal_of(FULL | changes))


@pytest.mark.parametrize(
    "host",
    ["", " ", "a b", "10.0.0", "10.0.0.256", "1", "x;reboot", "a\nSET POS 255", "-x", "x-", "a..b",
     "a/b", "[::1]", "$(x)", "röbot", "a" * 254, "http://a", "10.0.0.1:80", "a_b"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(host):
    for section in ("arm", "gripper"):
        assert "host is" in refusal_of(FULL | {section: {"host": host}, "cell": None})


@pytest.mark.parametrize("host", ["192.168.1.10", "ur5e", "UR-5e.lab.example.org", "localhost"])
def test_an_address_or_a_host_name_is_taken(host):
    content = FULL | {"arm": {"host": host}, "cell": None}
    assert read(content).arm.host == host


def test_a_file_exceeds_a_default_speed_only_with_the_key_that_says_so():
    faster = BOX | {"max_linear_speed_m_s": 0.5, "allow_faster_than_default": True}
    assert read(FULL | {"limits": faster}).limits.max_linear_speed_m_s == 0.5
    for name in FASTEST:
        value = 1.01 * getattr(LimitsConfig, name)
        assert name in refusal_of(FULL | {"limits": BOX | {name: value}})


def test_the_key_does_not_lift_the_ceiling_of_the_range():
    limits = BOX | {"max_linear_speed_m_s": 1.1, "allow_faster_than_default": True}
    assert "expected 0.001 to 1" in refusal_of(FULL | {"limits": limits})


def test_a_quaternion_of_five_digits_becomes_one_of_length_1():
    tool = read(FULL | {"tool": {"quaternion": [0.0, 0.0, 0.70711, 0.70711]}}).tool
    assert np.linalg.norm(tool.flange_from_tcp.quaternion) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("name", ["rig\n", "a:b", "a;b", "a" * 64, "-x"])
def test_a_name_that_no_recording_should_have_is_refused(tmp_path, name):
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(FULL))
    with pytest.raises(ValueError, match=r"name is .* expected a file name of letters"):
        load_rig(path)


@pytest.mark.parametrize("text", ["absent", "a: b\n", "a: [", "name: x\n", "\udcff"])
def test_whatever_a_file_is_called_it_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "a\nb\x1b[2J\u202e.yaml"
    if text != "absent":
        path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load_rig(path)
    assert str(caught.value).isprintable()
    assert "a\\nb" in str(caught.value)


def test_the_closed_sets_are_what_the_simulation_has():
    assert get_args(TaskName) == tuple(TASKS)
    assert get_args(LevelName) == tuple(LEVELS)


def test_numbers_of_exponents_are_numbers(tmp_path):
    path = tmp_path / "lab.yaml"
    path.write_text(yaml.safe_dump(FULL).replace("servo: {}", "servo: {rate_hz: 5e2}"))
    assert load_rig(path).servo.rate_hz == 500.0


@pytest.mark.parametrize("kind", ["fifo", "folder", "binary", "large"])
def test_what_is_no_text_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "lab.yaml"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "binary":
        path.write_bytes(b"robot: ur5e\xff\n")
    else:
        path.write_bytes(b"a: [" + b"1, " * 1_000_000)
    with pytest.raises(ValueError, match=r"lab\.yaml"):
        load_rig(path)
