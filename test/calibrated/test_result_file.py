import dataclasses
from datetime import date

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from carp_ros.calibrated.board import Board
from carp_ros.calibrated.result_file import (
    CameraIntrinsics,
    CameraPose,
    Latency,
    Provenance,
    ToolTip,
    load_result,
    write_result,
)

from ..neighbours import changed, fields_of, unruled

WHENCE = Provenance(
    rig="ur5e",
    date="2026-01-31",
    method="views of a board",
    source="pictures/wrist, 2nd try: ü",
    readings=13,
    outliers=("03.png", "11.png"),
    serial_number="0123",
    residual_px=0.21,
    board=Board(),
)
RESULTS = (
    CameraIntrinsics(
        "intrinsics", "wrist_cam", 640, 480, (602.0, 599.5), (322.5, 236.1),
        (-0.11, 0.06, 0.0008, -0.0006, 0.0), 0.4, 0.5, WHENCE,
    ),
    CameraPose(
        "camera_pose", "wrist_cam", "flange", (0.01, 0.09, 0.03), (0.0, 0.6, 0.0, 0.8), 0.4, 0.03,
        WHENCE,
    ),
    ToolTip("tool", (0.0, 0.001, 0.1558), 0.2, dataclasses.replace(WHENCE, board=None)),
    Latency("latency", "wrist_cam", 0.0421, 0.0003, 0.998, dataclasses.replace(WHENCE, board=None)),
)  # fmt: skip


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.kind)
def test_a_result_is_read_back_as_it_was_written(result, tmp_path):
    path = tmp_path / "ur5e" / "result.yaml"
    write_result(path, result)

    assert load_result(path, type(result)) == result


@given(
    position=st.tuples(*[st.floats(-10, 10)] * 3),
    turn=st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1),
)
@settings(max_examples=20, deadline=None)
def test_a_pose_survives_the_file_within_a_nanometre(position, turn, tmp_path_factory):
    quaternion = tuple((np.array(turn) / np.linalg.norm(turn)).tolist())
    path = tmp_path_factory.mktemp("results") / "pose.yaml"
    given_pose = dataclasses.replace(RESULTS[1], position_m=position, quaternion=quaternion)
    write_result(path, given_pose)

    read = load_result(path, CameraPose).parent_from_camera

    assert read.position == pytest.approx(position, abs=1e-8)
    assert read.quaternion == pytest.approx(quaternion, abs=1e-8)
    assert np.linalg.norm(read.quaternion) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.kind)
def test_every_number_has_a_range_and_what_is_outside_is_refused_by_its_key(result, tmp_path):
    path = tmp_path / "result.yaml"
    write_result(path, result)
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert unruled(type(result)) == []
    for field in fields_of(type(result)):
        for value in field.outside:
            path.write_text(yaml.safe_dump(changed(content, field.path, value)), encoding="utf-8")
            with pytest.raises(ValueError, match=field.path[-1]):
                load_result(path, type(result))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"centre_px": (322.5, 480.5)}, "centre_px.*a place in the image of 640 x 480 px"),
        ({"centre_px": (-1.0, 236.1)}, "centre_px.*a place in the image"),
        ({"focal_px": (60.0, 599.5)}, r"focal_px.*0\.1 to 50 times width_px"),
    ],
)
def test_numbers_that_no_camera_of_this_image_size_has_are_refused(changes, words, tmp_path):
    path = tmp_path / "result.yaml"
    write_result(path, dataclasses.replace(RESULTS[0], **changes))
    with pytest.raises(ValueError, match=rf"result\.yaml: {words}"):
        load_result(path, CameraIntrinsics)


def test_a_result_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "tool.yaml"
    write_result(path, RESULTS[2])
    with pytest.raises(ValueError, match=r"tool\.yaml is a ToolTip; expected a CameraPose"):
        load_result(path, CameraPose)


def test_a_date_that_does_not_exist_is_refused(tmp_path):
    path = tmp_path / "tool.yaml"
    write_result(path, RESULTS[2])
    text = path.read_text(encoding="utf-8").replace("2026-01-31", "2026-02-31")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="a day that exists"):
        load_result(path, ToolTip)


def test_the_age_is_in_days():
    assert WHENCE.age_days(date(2026, 2, 3)) == 3


def test_intrinsics_are_those_of_camera_info():
    intrinsics = RESULTS[0].intrinsics
    assert intrinsics.matrix.tolist() == [[602.0, 0, 322.5], [0, 599.5, 236.1], [0, 0, 1]]
    assert intrinsics.frame == "wrist_cam_optical_frame"
