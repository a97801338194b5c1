import numpy as np
import pytest
from PIL import Image

from carp_ros.cli.dataset import DatasetCommand, main

from ..small_dataset import write_small_dataset


@pytest.fixture
def dataset(tmp_path):
    return write_small_dataset(tmp_path / "cups")


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
