"""info.json of other programs: what it may say of paths, and what it can't ask for."""

import json
import shutil
from dataclasses import replace

import pytest

from carp_ros.recording.open_dataset import open_demonstrations

from ...foreign_dataset import Written, write_foreign_dataset

NUMBERS = Written(images=None, lengths=(4, 5))


def changed(root, **values):
    path = root / "meta" / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return root


@pytest.mark.parametrize(
    "braces",
    [
        "{file_index:999999999d}",
        "{file_index:>999999999}",
        "{file_index:.999999999f}",
        "{file_index!r:>999999999}",
        "{file_index:{chunk_index}99999999d}",
        "{file_index.__class__}",
        "{file_index",
    ],
)
def test_a_path_can_not_ask_for_more_than_a_number_of_a_few_digits(tmp_path, braces):
    root = write_foreign_dataset(tmp_path / "set", NUMBERS)
    with pytest.raises(ValueError, match=r"data_path is .*; expected a path with nothing else in"):
        open_demonstrations(changed(root, data_path=f"data/{braces}"))


def test_links_of_the_owner_are_followed_as_a_download_cache_consists_of_them(tmp_path):
    root = write_foreign_dataset(tmp_path / "set")
    (tmp_path / "blobs").mkdir()
    for number, path in enumerate([path for path in root.rglob("*") if path.is_file()]):
        kept = shutil.move(path, tmp_path / "blobs" / str(number))
        path.symlink_to(kept)
    shutil.move(root / "videos", tmp_path / "videos")
    (root / "videos").symlink_to(tmp_path / "videos")
    data = open_demonstrations(root)
    assert set(data.numbers.episodes) == {0, 1, 2, 3}
    assert len(list(data.images("top", 3))) == 12


def test_a_camera_whose_name_leads_out_of_the_dataset_is_not_looked_for_there(tmp_path):
    root = write_foreign_dataset(tmp_path / "set", replace(Written("v2.1"), images=None))
    info = json.loads((root / "meta" / "info.json").read_text())
    camera = {"dtype": "video", "shape": [4, 4, 3], "names": ["height", "width", "channels"]}
    changed(root, features={**info["features"], "../../../elsewhere": camera})
    with pytest.raises(ValueError, match="leads out of the dataset; expected a path inside it"):
        open_demonstrations(root)


@pytest.mark.parametrize("robot", [None, 7, ["left", "right"], {"a": 1}, "x" * 300])
def test_whatever_the_robot_is_called_the_dataset_is_read(tmp_path, robot):
    root = changed(write_foreign_dataset(tmp_path / "set", NUMBERS), robot_type=robot)
    rig = "x" * 60 if isinstance(robot, str) else "unknown"
    assert open_demonstrations(root).rig == rig
