"""Our dataset, read by the public lerobot library: `make lerobot-check`."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from carp_ros.recording.bag_frames import FrameSettings, episode_frames
from carp_ros.recording.conversion import EpisodeFilter, convert
from carp_ros.recording.dataset_reader import DatasetReader
from carp_ros.recording.recorded_episode import open_episode

CAMERAS = ("wrist_cam", "third_cam")
ENVIRONMENT = Path(os.environ.get("CARP_LEROBOT", "~/.cache/carp_ros/lerobot-0.4.4")).expanduser()


@pytest.fixture(scope="module")
def read_by_lerobot(tmp_path_factory, make_recording):
    """Return one of our datasets, and what lerobot read of it."""
    if not (ENVIRONMENT / "reads_videos").exists():
        pytest.skip(f"no lerobot in {ENVIRONMENT}: `make lerobot-check` installs it and runs this")
    folder = tmp_path_factory.mktemp("lerobot")
    for seed in range(3):
        words = f"Put cup {seed // 2} on the right."
        recording = make_recording(seed=seed, seconds=1.5 + seed, instruction=words)
        recording.write(folder / f"episode_{seed}")
    # in two runs, so that there are two files of each kind
    for count in (2, 3):
        bags = [folder / f"episode_{seed}" for seed in range(count)]
        for outcome in convert(bags, folder / "set", FrameSettings(), EpisodeFilter()):
            assert not outcome.reason
    check = Path(__file__).with_name("lerobot_check.py")
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LD_LIBRARY_PATH")
    }
    done = subprocess.run(
        [ENVIRONMENT / "bin" / "python", check, folder / "set", folder / "found.npz"],
        env={**environment, "HF_HOME": str(folder / "hub")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    shown = [
        frame for bag in bags for frame in episode_frames(open_episode(bag), FrameSettings())[1]
    ]
    return DatasetReader(folder / "set"), shown, np.load(folder / "found.npz")


def test_every_number_is_read_as_it_was_written(read_by_lerobot):
    dataset, _, found = read_by_lerobot
    for name, column in dataset.columns.items():
        assert found[name].dtype == column.dtype
        assert (found[name].reshape(column.shape) == column).all(), name
    words = [dataset.episodes[i]["tasks"][0] for i in dataset.columns["episode_index"][:, 0]]
    assert found["task"].tolist() == words
    mean = dataset.columns["action"].mean(axis=0)
    np.testing.assert_allclose(found["mean_action"], mean, atol=1e-6)


def test_every_image_is_the_one_that_belongs_to_its_frame(read_by_lerobot):
    _, shown, found = read_by_lerobot
    for camera in CAMERAS:
        images = found[f"observation.images.{camera}"].transpose(0, 2, 3, 1) * 255
        assert len(images) == len(shown)
        for image, frame in zip(images, shown):
            assert np.abs(image - frame.observation.images[camera]).mean() < 3.0


def test_no_time_is_taken_for_an_input_of_a_policy(read_by_lerobot):
    _, _, found = read_by_lerobot
    inputs = {"observation.state", "observation.joints", "action"}
    inputs |= {f"observation.images.{camera}" for camera in CAMERAS}
    assert set(found["policy_features"].tolist()) == inputs
