"""Datasets as other programs write them in LeRobot's formats."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

JOINTS = tuple(f"joint_{i}.pos" for i in range(6))


@dataclass(frozen=True)
class Written:
    """What a dataset is made of.

    Attributes:
        version: `v2.1`, a file an episode, or `v3.0`, several in one.
        lengths: Of the episodes, in frames.
        instructions: Of the episodes; repeated as needed.
        fps: Frames per second.
        names: Of the numbers of state and action; None for datasets that say none.
        images: How cameras are stored: `h264`, `av1` or `png`; None for no camera.
        sizes: Width and height of the images, by feature.
        lists: Whether rows of numbers are lists of any length, not of a fixed one.
    """

    version: str = "v3.0"
    lengths: tuple[int, ...] = (12, 9, 3, 12)
    instructions: tuple[str, ...] = ("Put the cup down.", "Open the drawer.")
    fps: int = 20
    names: object = JOINTS
    images: str | None = "h264"
    sizes: dict[str, tuple[int, int]] = field(
        default_factory=lambda: {
            "observation.images.top": (64, 48),
            "observation.images.Wrist-2": (48, 48),
        }
    )
    lists: bool = False

    @property
    def width(self) -> int:
        """How many numbers a state has."""
        return 6 if self.names is None else len(_flat(self.names))


def state_of(written: Written, episode: int) -> np.ndarray:
    """Return the states of an episode; the actions are the next states."""
    k = np.arange(written.lengths[episode] + 1)[:, None]
    numbers = 0.4 * np.sin(0.2 * k + np.arange(written.width) + episode)
    numbers[:, 0] = 0.25  # never changes
    return numbers.astype(np.float32)


def image_of(episode: int, frame: int, size: tuple[int, int]) -> np.ndarray:
    """Return an image that says whose it is."""
    image = np.full((size[1], size[0], 3), 30 + 15 * episode, np.uint8)
    image[:, : size[0] // 2, 1] = 20 + 10 * (frame % 20)
    return image


def write_foreign_dataset(root: Path, written: Written = Written()) -> Path:
    """Write a dataset and return its folder."""
    (root / "meta").mkdir(parents=True)
    tasks = list(dict.fromkeys(written.instructions))
    tables, rows, index = [], [], 0
    for episode, length in enumerate(written.lengths):
        text = written.instructions[episode % len(written.instructions)]
        tables.append(_table(written, episode, index, tasks.index(text)))
        rows.append({"episode_index": episode, "tasks": [text], "length": length})
        index += length
    is_v3 = written.version == "v3.0"
    for number, table in enumerate([pa.concat_tables(tables)] if is_v3 else tables):
        _write(root / _data(is_v3, number), table)
    if written.images in ("h264", "av1"):
        _write_videos(root, written, is_v3)
    _write_meta(root, written, rows, tasks, is_v3)
    return root


def _data(is_v3: bool, number: int) -> str:
    return (
        f"data/chunk-000/file-{number:03d}.parquet"
        if is_v3
        else f"data/chunk-000/episode_{number:06d}.parquet"
    )


def _video(is_v3: bool, key: str, number: int) -> str:
    return (
        f"videos/{key}/chunk-000/file-{number:03d}.mp4"
        if is_v3
        else f"videos/chunk-000/{key}/episode_{number:06d}.mp4"
    )


def _table(written: Written, episode: int, first: int, task: int) -> pa.Table:
    length = written.lengths[episode]
    numbers = state_of(written, episode)
    columns = {
        "observation.state": _rows(numbers[:-1], written.lists),
        "action": _rows(numbers[1:], written.lists),
        "timestamp": pa.array((np.arange(length) / written.fps).astype(np.float32)),
        "frame_index": pa.array(np.arange(length)),
        "episode_index": pa.array(np.full(length, episode)),
        "index": pa.array(first + np.arange(length)),
        "task_index": pa.array(np.full(length, task)),
        "next.done": pa.array(np.arange(length) == length - 1),
    }
    if written.images == "png":
        for key, size in written.sizes.items():
            pictures = [image_of(episode, k, size)[..., ::-1] for k in range(length)]
            columns[key] = pa.array(
                [{"bytes": cv2.imencode(".png", p)[1].tobytes(), "path": "x.png"} for p in pictures]
            )
    return pa.table(columns)


def _rows(numbers: np.ndarray, lists: bool) -> pa.Array:
    if lists:
        return pa.array(numbers.tolist(), pa.list_(pa.float32()))
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), numbers.shape[1])


def _write_videos(root: Path, written: Written, is_v3: bool) -> None:
    for key, size in written.sizes.items():
        pictures = [
            [image_of(episode, k, size) for k in range(length)]
            for episode, length in enumerate(written.lengths)
        ]
        if is_v3:
            pictures = [[image for shown in pictures for image in shown]]
        for number, shown in enumerate(pictures):
            path = root / _video(is_v3, key, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, shown, written.fps, written.images or "")


def write_video(path: Path, images: list[np.ndarray], fps: int, codec: str) -> None:
    """Write a video as lerobot encodes it: groups of two pictures, B frames among them."""
    encoder = {"h264": "libx264", "av1": "libsvtav1"}[codec]
    options = {"crf": "20", "g": "2"} | ({"preset": "12"} if codec == "av1" else {})
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=fps, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for k, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = k
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _write_meta(root: Path, written: Written, rows: list, tasks: list[str], is_v3: bool) -> None:
    numbers = {"dtype": "float32", "shape": [written.width], "names": _named(written.names)}
    plain = {"dtype": "int64", "shape": [1], "names": None}
    pictures = {
        key: {
            "dtype": "image" if written.images == "png" else "video",
            "shape": [size[1], size[0], 3],
            "names": ["height", "width", "channels"],
        }
        for key, size in (written.sizes if written.images else {}).items()
    }
    info = {
        "codebase_version": written.version,
        "robot_type": "so101",
        "total_episodes": len(rows),
        "fps": written.fps,
        "chunks_size": 1000,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        if is_v3
        else "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
        if is_v3
        else "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        "features": {
            "observation.state": numbers,
            "action": numbers,
            "next.done": {"dtype": "bool", "shape": [1], "names": None},
            "note": {"dtype": "string", "shape": [1], "names": None},
            **pictures,
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
            **{k: plain for k in ("frame_index", "episode_index", "index", "task_index")},
        },
    }
    (root / "meta" / "info.json").write_text(json.dumps(info))
    if not is_v3:
        (root / "meta" / "episodes.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        lines = [{"task_index": i, "task": text} for i, text in enumerate(tasks)]
        (root / "meta" / "tasks.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
        return
    first = 0
    for row in rows:
        row |= {"data/chunk_index": 0, "data/file_index": 0}
        row |= {"dataset_from_index": first, "dataset_to_index": first + row["length"]}
        for key in pictures:
            row |= {f"videos/{key}/chunk_index": 0, f"videos/{key}/file_index": 0}
            row[f"videos/{key}/from_timestamp"] = first / written.fps
        first += row["length"]
    _write(
        root / "meta" / "episodes" / "chunk-000" / "file-000.parquet", pa.Table.from_pylist(rows)
    )
    table = {"task_index": list(range(len(tasks))), "__index_level_0__": tasks}
    _write(root / "meta" / "tasks.parquet", pa.table(table))


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _named(names: object) -> object:
    return list(names) if isinstance(names, tuple) else names


def _flat(names: object) -> list[str]:
    if isinstance(names, dict):
        names = next(iter(names.values()))
    assert isinstance(names, list | tuple)
    return list(names)
