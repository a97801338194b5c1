import av
import numpy as np
import pytest

from carp_ros.recording.video import VideoWriter, join_videos, read_frame, read_video, video_info


def write(path, images, rate_hz=10):
    writer = VideoWriter(path, images[0].shape[1], images[0].shape[0], rate_hz)
    for image in images:
        writer.add(image)
    writer.close()
    return path


def moving(frames, shade=60):
    x, y = np.meshgrid(np.arange(64), np.arange(48))
    return [
        np.stack([128 + 99 * np.sin((x + 2 * k) / 15), 2 * x, y * 0 + shade], -1).astype(np.uint8)
        for k in range(frames)
    ]


def error(one, other) -> float:
    """Return the mean difference in levels of 255."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def test_every_image_comes_back_in_its_place(tmp_path):
    images = moving(23)
    path = write(tmp_path / "v.mp4", images)
    found = list(read_video(path))
    assert len(found) == len(images)
    for index, image in enumerate(images):
        assert error(image, found[index]) < 2.5
        errors = [error(image, other) for other in found]
        assert int(np.argmin(errors)) == index
        assert (read_frame(path, index) == found[index]).all()


def test_joined_videos_are_the_parts_one_after_the_other(tmp_path):
    parts = [write(tmp_path / f"{n}.mp4", moving(n, shade=10 * n)) for n in (7, 1, 12)]
    join_videos(parts, tmp_path / "joined.mp4", 10)
    expected = [image for part in parts for image in read_video(part)]
    found = list(read_video(tmp_path / "joined.mp4"))
    assert len(found) == 20
    assert all((a == b).all() for a, b in zip(expected, found))
    assert (read_frame(tmp_path / "joined.mp4", 7) == expected[7]).all()


def test_frame_k_stands_at_k_periods_in_joined_videos_too(tmp_path):
    part = write(tmp_path / "v.mp4", moving(7), rate_hz=30)
    join_videos([part] * 3, tmp_path / "joined.mp4", 30)
    for path, count in ((part, 7), (tmp_path / "joined.mp4", 21)):
        with av.open(str(path)) as container:
            times_s = [frame.time for frame in container.decode(video=0)]
        np.testing.assert_allclose(times_s, np.arange(count) / 30, atol=1e-9)


def test_the_file_says_what_it_is(tmp_path):
    info = video_info(write(tmp_path / "v.mp4", moving(5), rate_hz=20))
    assert (info["video.width"], info["video.height"], info["video.fps"]) == (64, 48, 20)
    assert info["video.codec"] == "h264"


def test_the_same_images_make_the_same_bytes(tmp_path):
    one, other = (write(tmp_path / f"{n}.mp4", moving(30)) for n in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_odd_sizes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="63x48 px; expected even numbers"):
        VideoWriter(tmp_path / "v.mp4", 63, 48, 10)


def test_a_frame_beyond_the_end_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no frame 5"):
        read_frame(write(tmp_path / "v.mp4", moving(5)), 5)
