import cv2
import numpy as np
import pytest

from carp_ros.calibrated.board import Board
from carp_ros.calibration.readings import (
    image_paths,
    load_board,
    load_image,
    load_poses,
    load_signal,
)
from carp_ros.errors import CalibrationError


def test_poses_are_read_by_name(tmp_path):
    path = tmp_path / "poses.yaml"
    path.write_text(
        "poses:\n  a.png: {position_m: [0.1, 0.2, 0.3], quaternion: [0, 0, 0.6, 0.8]}\n",
        encoding="utf-8",
    )
    poses = load_poses(path)
    assert poses["a.png"].position.tolist() == [0.1, 0.2, 0.3]
    assert poses["a.png"].quaternion == pytest.approx([0, 0, 0.6, 0.8])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("poses: {}", "poses"),
        ("poses:\n  a.png: {position_m: [100, 200, 300], quaternion: [0, 0, 0, 1]}", "-10 to 10"),
        ("poses:\n  a.png: {position_m: [0, 0, 0], quaternion: [0, 0, 0, 2]}", "a length of 1"),
        ("poses:\n  a.png: {position_m: [0, 0], quaternion: [0, 0, 0, 1]}", "2 numbers"),
        ("poses:\n  a.png: {position_m: [0, 0, .nan], quaternion: [0, 0, 0, 1]}", "finite"),
        ("poses: [1, 2]", "poses"),
        ("- a", "keys and values"),
    ],
)
def test_poses_that_cannot_be_are_refused_with_the_files_name(text, words, tmp_path):
    path = tmp_path / "poses.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"(?s)poses\.yaml.*{words}"):
        load_poses(path)


def test_a_board_without_a_file_is_the_one_that_is_drawn_by_default(tmp_path):
    assert load_board(None) == Board()
    path = tmp_path / "board.yaml"
    path.write_text("square_m: 0.0298\n", encoding="utf-8")
    assert load_board(path) == Board(square_m=0.0298)


def test_images_are_listed_by_name_and_other_files_are_not(tmp_path):
    for name in ("b.PNG", "a.jpg", "poses.yaml"):
        (tmp_path / name).touch()
    assert [path.name for path in image_paths(tmp_path)] == ["a.jpg", "b.PNG"]


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no images; expected files ending in"):
        image_paths(tmp_path)
    with pytest.raises(ValueError, match="nowhere"):
        image_paths(tmp_path / "nowhere")


def test_an_image_is_read_as_grey_levels(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((20, 30, 3), 77, np.uint8))
    image = load_image(path)
    assert image.shape == (20, 30)
    assert (image == 77).all()


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(20)])
def test_an_image_that_cannot_be_decoded_is_one_refusal_with_its_name(content, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(CalibrationError, match=r"a\.png: "):
        load_image(path)


def test_a_recording_is_read_with_times_in_nanoseconds(tmp_path):
    path = tmp_path / "first.csv"
    path.write_text("time_s,x_m,y_m\n1.5,1,2\n1.502,3,4e-1\n", encoding="utf-8")
    signal = load_signal(path)
    assert signal.times_ns.tolist() == [1_500_000_000, 1_502_000_000]
    assert signal.values.tolist() == [[1.0, 2.0], [3.0, 0.4]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a line of names"),
        ("time_s\n1\n2\n", "a line of names"),
        ("time_s,x\n1,2\n1,3\n", "each later"),
        ("time_s,x\n1,2\n", "at least two rows"),
        ("time_s,x\n1,2\n2,nan\n", "line 3.*finite"),
        ("time_s,x\n1,2\n2\n", "line 3.*2 finite numbers"),
        ("time_s,x\n1,2\n2,three\n", "line 3"),
        ("time_s,x\n1,2\n1e300,3\n", "line 3.*a time of at most 9e.09 s"),
        ("time_s,x\n1,2\n2,1e300\n", "line 3.*values of at most 1e.09"),
    ],
)
def test_a_recording_that_cannot_be_is_refused_with_the_files_name(text, words, tmp_path):
    path = tmp_path / "first.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"(?s)first\.csv.*{words}"):
        load_signal(path)
