"""Images in the tables of other programs: PNG and JPEG as they are stored, nothing else."""

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from carp_ros.recording.demonstrations import UnreadableEpisodeError
from carp_ros.recording.open_dataset import open_demonstrations

from ...foreign_dataset import Written, image_of, write_foreign_dataset

TOP = "observation.images.top"
DATA = "data/chunk-000/file-000.parquet"
WRITTEN = Written(lengths=(5, 6, 5), images="png", sizes={TOP: (64, 48)})
FRAME = 5 + 2  # of episode 1


def encoded(image, ending):
    return cv2.imencode(ending, image[..., ::-1])[1].tobytes()


def with_cells(root, change, **options):
    """Replace the bytes of cells; `change` maps a row and an image to bytes, None leaves them."""
    table = pq.read_table(root / DATA)
    cells = table.column(TOP).to_pylist()
    for row, cell in enumerate(cells):
        episode = table.column("episode_index")[row].as_py()
        image = image_of(episode, table.column("frame_index")[row].as_py(), (64, 48))
        content = change(row, image)
        cells[row] = {**cell, "bytes": cell["bytes"] if content is None else content}
    place = table.column_names.index(TOP)
    changed = pa.array(cells, table.column(TOP).type)
    pq.write_table(table.set_column(place, TOP, changed), root / DATA, **options)
    return root


@pytest.fixture
def root(tmp_path):
    return write_foreign_dataset(tmp_path / "set", WRITTEN)


def rgba(_, image):
    alpha = np.full(image.shape[:2], 99, np.uint8)
    return cv2.imencode(".png", np.dstack([image[..., ::-1], alpha]))[1].tobytes()


def turned_by_its_tag(_, image):
    data = encoded(image, ".jpg")
    tag = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # orientation: 6
    exif = b"Exif\0\0" + tag
    return data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]


@pytest.mark.parametrize("change", [rgba, turned_by_its_tag])
def test_pixels_are_those_that_are_stored(root, change):
    data = open_demonstrations(with_cells(root, change))
    for frame, image in enumerate(data.images("top", 1)):
        wanted = image_of(1, frame, (64, 48)).astype(float)
        assert image.shape == wanted.shape
        assert np.abs(image - wanted).mean() < 4.0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda image: encoded(cv2.resize(image, (32, 24)), ".png"), "is of 32x24 px; expected"),
        (lambda image: encoded(np.rot90(image).copy(), ".jpg"), "is of 48x64 px; expected 64x48"),
        (lambda image: encoded(image, ".bmp"), "is no image; expected a whole JPEG or PNG"),
        (lambda image: encoded(image, ".jpg")[:-30], "is no image; expected a whole JPEG or"),
        (
            lambda image: encoded(image, ".png").replace(
                b"\0\0\0\x40\0\0\0\x30", b"\0\0\x4e\x20\0\0\x4e\x20", 1
            ),
            "image is of 20000x20000 px",
        ),
    ],
)
def test_an_image_that_is_not_as_declared_costs_its_episode(root, change, reason):
    with_cells(root, lambda row, image: change(image) if row == FRAME else None)
    data = open_demonstrations(root)
    assert len(list(data.images("top", 0))) == 5
    with pytest.raises(UnreadableEpisodeError, match=f"of frame 2: .*{reason}"):
        list(data.images("top", 1))
    assert len(list(data.images("top", 2))) == 5


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
def test_a_damaged_part_of_a_table_costs_the_episodes_in_it(root, compression):
    with_cells(root, lambda row, image: None, compression=compression, row_group_size=11)
    facts = pq.ParquetFile(root / DATA).metadata.row_group(1)
    part = next(
        facts.column(i)
        for i in range(facts.num_columns)
        if facts.column(i).path_in_schema == f"{TOP}.bytes"
    )
    content = bytearray((root / DATA).read_bytes())
    begin = part.dictionary_page_offset or part.data_page_offset
    size = part.total_compressed_size - 100
    content[begin + 50 : begin + 50 + size] = b"\xa5" * size
    (root / DATA).write_bytes(content)
    data = open_demonstrations(root)
    assert [len(list(data.images("top", episode))) for episode in (0, 1)] == [5, 6]
    with pytest.raises(UnreadableEpisodeError, match=r"episode 2: camera top: .*file-000\.parquet"):
        list(data.images("top", 2))
