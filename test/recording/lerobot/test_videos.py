"""Videos of other programs: which image belongs to a frame, and what is no video of a camera."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from carp_ros.recording import video
from carp_ros.recording.open_dataset import open_demonstrations

from ...foreign_dataset import Written, image_of, write_foreign_dataset, write_video

TOP = "observation.images.top"
V2 = Written("v2.1", lengths=(6, 5, 6), sizes={TOP: (64, 48)})


def path_of(root, episode):
    return root / f"videos/chunk-000/{TOP}/episode_{episode:06d}.mp4"


def images_of(episode, size=(64, 48)):
    return [image_of(episode, frame, size) for frame in range(V2.lengths[episode])]


@pytest.mark.parametrize("times", [2, 3, 4])
@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_of_a_video_with_more_images_each_frame_has_the_one_of_its_time(tmp_path, times, version):
    written = replace(V2, version=version)
    root = write_foreign_dataset(tmp_path / "set", written)
    foreign = np.full((48, 64, 3), 250, np.uint8)
    for path in root.glob("videos/**/*.mp4"):
        episodes = [int(path.stem[-6:])] if version == "v2.1" else [0, 1, 2]
        path.unlink()
        shown = [
            image if part == 0 else foreign
            for episode in episodes
            for image in images_of(episode)
            for part in range(times)
        ]
        write_video(path, shown, 20 * times, "h264")
    data = open_demonstrations(root)
    for episode in range(3):
        for image, wanted in zip(data.images("top", episode), images_of(episode), strict=True):
            assert np.abs(image - wanted.astype(float)).mean() < 6.0


@pytest.mark.parametrize("size", [(32, 24), (48, 64)])
def test_a_video_of_another_size_than_declared_costs_its_episode(tmp_path, size):
    root = write_foreign_dataset(tmp_path / "set", V2)
    path_of(root, 1).unlink()
    write_video(path_of(root, 1), images_of(1, size), 20, "h264")
    data = open_demonstrations(root)
    assert set(data.numbers.episodes) == {0, 2}
    reason = f"image is of {size[0]}x{size[1]} px; expected 64x48, as info.json says"
    assert any(line.startswith("episode 1: ") and reason in line for line in data.refused)


def test_a_file_that_names_other_files_is_no_video(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", V2)
    elsewhere = tmp_path / "elsewhere.mp4"
    shutil.copy(path_of(root, 1), elsewhere)
    shutil.copy(path_of(root, 1), path_of(root, 1).with_name("beside.mp4"))
    path_of(root, 1).write_text("ffconcat version 1.0\nfile beside.mp4\n")
    path_of(root, 2).write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{elsewhere}\n#EXT-X-ENDLIST\n"
    )
    data = open_demonstrations(root)
    assert set(data.numbers.episodes) == {0}
    assert [line.split(":")[0] for line in data.refused[1:]] == ["episode 1", "episode 2"]


def test_a_video_with_many_episodes_is_read_once_to_check_them(tmp_path, monkeypatch):
    root = write_foreign_dataset(tmp_path / "set", replace(V2, version="v3.0"))
    read = []
    true = video.video_content
    monkeypatch.setattr(video, "video_content", lambda path: read.append(path) or true(path))
    assert set(open_demonstrations(root).numbers.episodes) == {0, 1, 2}
    assert len(read) == 1
