import numpy as np
import pytest
from PIL import Image

from carp_ros.cli.dataset import DatasetCommand, main
from carp_ros.inference.layout import vector_from_tool
from carp_ros.recording.dataset import Dataset
from carp_ros.recording.dataset_spec import DatasetSpec
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.recording.frames import Frame
from carp_ros.recording.pieces import write_piece
from carp_ros.types import Observation, Pose

SPEC = DatasetSpec("ur5e_test", "ur5e", ("j0", "j1"), {"cam": (64, 48)}, "cam", 10, 0.05)
DOWN = np.array([1.0, 0.0, 0.0, 0.0])


def frames(count: int, closes: bool):
    for k in range(count):
        stamp_ns = 10**18 + k * 100_000_000
        tool = Pose(np.array([0.3 + 0.01 * k, 0.1 * np.sin(k / 5), 0.2]), DOWN)
        image = np.full((48, 64, 3), 40 + k, np.uint8)
        joints = np.array([0.1, 0.2]) * k
        seen = Observation(stamp_ns, {"cam": image}, {"cam": stamp_ns}, tool, 0.0, joints)
        yield Frame(seen, vector_from_tool(tool, float(closes and k > count / 2)))


@pytest.fixture
def dataset(tmp_path):
    """A dataset of four episodes; the second failed, the last is long and never closes."""
    converting = Dataset(tmp_path / "cups", "whole")
    pieces = []
    for number, count in enumerate((20, 21, 20, 60)):
        info = EpisodeInfo(
            "ur5e_test", "cup", "Move the cup.", "someone", None, "0.1.0", number, number != 1
        )
        shown = frames(count, closes=number != 3)
        folder = converting.piece_folder(f"episode_{number}", info)
        write_piece(folder, SPEC, f"episode_{number}", info, shown)
        pieces.append(converting.take(folder))
    converting.commit(pieces)
    converting.close()
    return tmp_path / "cups"


def test_it_says_what_is_there_and_what_is_odd_and_draws_it(dataset, capsys):
    assert main(DatasetCommand(dataset)) == 0
    text = capsys.readouterr().out
    assert "4 episodes, 12 s at 10 Hz" in text
    assert "task       Move the cup.: 4" in text
    assert "success    yes 3, no 1" in text
    assert "length     2.0 to 6.0 s, median 2.0" in text
    assert "workspace  x 0.30 to 0.89 m, y -0.10 to 0.10 m, z 0.20 to 0.20 m" in text
    assert "frames     100.0 ms apart, 98 % within 100.0 to 100.0 ms" in text
    assert "3 episode_3: 6.0 s long, the median is 2.0 s; gripper never closed" in text
    picture = Image.open(dataset.with_name("cups.png"))
    assert picture.format == "PNG"
    assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 200


def test_a_folder_that_is_no_dataset_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected the folder of a dataset of `carp convert`"):
        main(DatasetCommand(tmp_path))


def test_a_dataset_whose_conversion_was_interrupted_is_refused(dataset):
    (dataset / "meta" / "info.json").unlink()
    with pytest.raises(ValueError, match="the conversion was interrupted; run it again"):
        main(DatasetCommand(dataset))
