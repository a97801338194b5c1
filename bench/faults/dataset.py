"""Datasets: what is trained on must be what was converted, row by row and image by image."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.faults.campaign import Chance, Mutation, Spoilt
from bench.faults.files import copy_files, replace_file, spoil_bytes, write_anew
from bench.faults.hostile import NAMES, hostile_value, shown
from bench.faults.recording import CAMERAS, MS, RATE_HZ, record, said_by, start_of
from bench.faults.trees import spoil_text, spoil_tree, text_of
from carp_ros.inference.policy_spec import ImageSize
from carp_ros.recording.bag_frames import FrameSettings
from carp_ros.recording.conversion import EpisodeFilter, convert, find_episodes
from carp_ros.recording.open_dataset import open_demonstrations
from carp_ros.training.images import read_images
from carp_ros.training.windows import read_windows, split_episodes

_NAME = "cups_7"
_EXPECTED = "expected.npz"
_EPISODES = 3
_SECONDS = 1.5
_HORIZON = 8
_DATA = "data/chunk-000/file-000.parquet"
_ROWS = "meta/episodes/chunk-000/file-000.parquet"
_TASKS = "meta/tasks.parquet"
_JSON = ("meta/info.json", "meta/info.json", "meta/carp.json", "meta/carp.json", "meta/stats.json")
_MOST = np.array([3.0] * 3 + [1.01] * 6 + [1.05])


class DatasetCampaign:
    """Through `open_demonstrations`, windows, split and images, as `carp train policy` begins."""

    name = "dataset"

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Ways to spoil it."""
        return (
            self.json_value,
            self.json_text,
            self.cell,
            self.rows,
            self.schema,
            self.episode_cell,
            self.episode_rows,
            self.tasks_table,
            self.table_bytes,
            self.video,
            self.files,
            self.instead,
        )

    def warm(self) -> None:
        """Import what decodes video."""
        import av  # noqa: F401

        cv2.setNumThreads(1)

    def prepare(self, folder: Path) -> None:
        """Convert recordings, and note what a training must find."""
        bags = folder / "bags"
        bags.mkdir()
        for number in range(_EPISODES):
            record(number, seconds=_SECONDS).write(bags / f"episode_{number}")
        root = folder / _NAME
        outcomes = list(
            convert(find_episodes([bags]), root, FrameSettings(RATE_HZ), EpisodeFilter())
        )
        shutil.rmtree(bags)
        if any(outcome.status != "added" for outcome in outcomes):
            raise RuntimeError(f"sound recordings were not converted: {outcomes}")
        table = pq.read_table(root / _DATA).to_pylist()
        first_ns = [row["first_frame_ns"] for row in pq.read_table(root / _ROWS).to_pylist()]
        arrays = {
            "states": np.array([row["observation.state"] for row in table], np.float32),
            "actions": np.array([row["action"] for row in table], np.float32),
            "episodes": np.array([row["episode_index"] for row in table]),
        }
        for camera in CAMERAS:
            stamps = [
                (first_ns[row["episode_index"]] - start_of(row["episode_index"]))
                + row[f"stamp_ns.{camera}"]
                for row in table
            ]
            arrays[camera] = np.array(stamps) / MS
        np.savez(folder / _EXPECTED, **arrays)

    def copy(self, sound: Path, folder: Path) -> None:
        """Copy the dataset."""
        copy_files(sound, folder)

    def names(self, folder: Path) -> Sequence[str]:
        """Return the dataset's name, which every path in it has."""
        return (_NAME,)

    def enter(self, folder: Path) -> Any:
        """Read all that a training reads."""
        dataset = open_demonstrations(folder / _NAME)
        data = read_windows(dataset, _HORIZON)
        split_episodes(data, 0.02, 0, 0)
        images, _ = read_images(dataset, ImageSize(112, 84), folder / "cache", lambda done: None)
        return data, images

    def dangers(self, taken: Any, spoilt: Spoilt, folder: Path) -> Sequence[str]:
        """Compare with what was converted."""
        data, images = taken
        with np.load(folder / _EXPECTED) as archive:
            expected = {name: archive[name] for name in archive.files}
        count = len(expected["states"])
        lengths = {
            "states": len(data.states),
            "actions": len(data.actions),
            "tasks": len(data.tasks),
            "episodes": len(data.episodes),
            **{camera: len(images.get(camera, ())) for camera in CAMERAS},
        }
        if set(lengths.values()) != {count}:
            return [f"{count} frames were converted; there are {lengths}"]
        found = []
        touched = np.zeros(count, bool)
        touched[list(spoilt.facts.get("rows", ()))] = True
        ends = np.append(np.flatnonzero(np.diff(expected["episodes"])), count - 1)
        of_episode = ends[np.searchsorted(ends, np.arange(count))]
        steps = np.minimum(np.arange(count)[:, None] + np.arange(_HORIZON), of_episode[:, None])
        for name, mine, true, free in (
            ("states", data.states, expected["states"], touched),
            ("actions", data.actions, expected["actions"][steps], touched[steps]),
        ):
            if mine.shape != true.shape:
                found.append(f"{name} have shape {mine.shape}; expected {true.shape}")
                continue
            if not np.isfinite(mine).all() or (np.abs(mine) > _MOST).any():
                worst = mine.reshape(-1, 10)[np.argmax(np.nanmax(np.abs(mine.reshape(-1, 10)), 1))]
                found.append(f"{name} like {worst.tolist()}")
            wrong = (np.abs(mine - true) > 1e-5).any(axis=-1) & ~free
            if wrong.any():
                found.append(f"{name} differ in {int(wrong.sum())} places that nobody changed")
        if (np.asarray(data.episodes) != expected["episodes"]).any():
            found.append(f"frames are of episodes {sorted(set(map(int, data.episodes)))}")
        if len(data.task_names) != 1 and not spoilt.facts.get("tasks"):
            found.append(f"tasks are {shown(data.task_names)}")
        if any(not isinstance(name, str) or not name.strip() for name in data.task_names):
            found.append(f"tasks are {shown(data.task_names)}")
        found += _images(images, expected)
        return found

    # what is done

    def json_value(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil a value of a JSON file."""
        path = folder / _NAME / _JSON[int(chance.integers(len(_JSON)))]
        tree, what = spoil_tree(chance, json.loads(path.read_text()))
        write_anew(path, text_of(tree, "json").encode("utf-8", "surrogatepass"))
        return Spoilt(f"{path.name}: {what}")

    def json_text(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the text of a JSON file."""
        path = folder / _NAME / _JSON[int(chance.integers(len(_JSON)))]
        if chance.random() < 0.5:
            data, what = spoil_text(chance, path.read_text(), "json")
        else:
            data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        return Spoilt(f"{path.name}: {what}")

    def cell(self, chance: Chance, folder: Path) -> Spoilt:
        """Give one number of the frames another value."""
        path = folder / _NAME / _DATA
        table = pq.read_table(path)
        name = table.column_names[int(chance.integers(table.num_columns))]
        rows = table.column(name).to_pylist()
        row = int(chance.integers(len(rows)))
        numbers = (np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0, -1.0, 2.0, 1e4, 12345.0)
        value: Any = numbers[int(chance.integers(len(numbers)))]
        column = table.column(name)
        if isinstance(rows[row], list):
            place = int(chance.integers(len(rows[row])))
            rows[row] = [*rows[row][:place], value, *rows[row][place + 1 :]]
        elif pa.types.is_integer(column.type):
            whole = (0, -1, 2**62, -(2**62), rows[row] + 1, rows[row] - 1, 10**9)
            rows[row] = value = whole[int(chance.integers(len(whole)))]
        else:
            rows[row] = value
        _put(path, table, name, pa.array(rows, column.type))
        return Spoilt(f"{name} of row {row} is {value}", {"rows": [row]})

    def rows(self, chance: Chance, folder: Path) -> Spoilt:
        """Exchange, repeat, drop or shift rows of the frames."""
        path = folder / _NAME / _DATA
        table = pq.read_table(path)
        count = table.num_rows
        order = np.arange(count)
        a, b = (int(place) for place in chance.choice(count, 2, replace=False))
        ways: dict[str, Callable[[], Any]] = {
            f"{a} and {b} exchanged": lambda: _exchanged(order, a, b),
            f"{a} twice": lambda: np.insert(order, a, a),
            f"{a} missing": lambda: np.delete(order, a),
            f"{a} in the place of {b}": lambda: np.where(order == b, a, order),
            "reversed": lambda: order[::-1],
            "the last half missing": lambda: order[: count // 2],
            "none": lambda: order[:0],
            "all twice": lambda: np.concatenate([order, order]),
            "shifted by one": lambda: np.roll(order, 1),
            "shuffled": lambda: chance.permutation(count),
        }
        way = list(ways)[int(chance.integers(len(ways)))]
        changed = table.take(pa.array(ways[way]()))
        if chance.random() < 0.5:  # and what numbers them is as it should be
            for name in ("index", "frame_index", "episode_index", "timestamp"):
                if changed.num_rows == count:
                    place = changed.column_names.index(name)
                    changed = changed.set_column(place, name, table.column(name))
            way += ", numbered anew"
        write_table(path, changed)
        return Spoilt(f"rows: {way}")

    def schema(self, chance: Chance, folder: Path) -> Spoilt:
        """Give a column of a table another name or type, or leave it out."""
        names = (_DATA, _DATA, _ROWS)
        path = folder / _NAME / names[int(chance.integers(3))]
        table = pq.read_table(path)
        place = int(chance.integers(table.num_columns))
        name, column = table.column_names[place], table.column(place)
        other = NAMES[int(chance.integers(len(NAMES)))].encode("utf-8", "replace").decode()
        nulls = pa.nulls(table.num_rows, column.type)
        ways: dict[str, Callable[[], pa.Table]] = {
            "missing": lambda: table.remove_column(place),
            f"called {shown(other)}": lambda: table.rename_columns(
                [other if n == name else n for n in table.column_names]
            ),
            "text": lambda: _as_text(table, place),
            "twice": lambda: table.append_column(name, column),
            "null": lambda: table.set_column(place, name, nulls),
            "null in one row": lambda: _with_null(table, place),
            "single": lambda: _cast(table, place, pa.float32()),
            "double": lambda: _cast(table, place, pa.float64()),
            "int8": lambda: _cast(table, place, pa.int8()),
            "a list of any length": lambda: _cast(table, place, pa.list_(pa.float64())),
            "a dictionary": lambda: _as_dictionary(table, place),
            "another column": lambda: table.set_column(
                place, name, table.column((place + 1) % table.num_columns)
            ),
            "chunked": lambda: pa.concat_tables([table.slice(0, 1), table.slice(1)]),
        }
        way = list(ways)[int(chance.integers(len(ways)))]
        write_table(path, ways[way]())
        return Spoilt(f"{path.parent.parent.name}: {name} is {way}")

    def episode_cell(self, chance: Chance, folder: Path) -> Spoilt:
        """Give a value of an episode's row another one."""
        path = folder / _NAME / _ROWS
        table = pq.read_table(path)
        columns = [name for name in table.column_names if not name.startswith("stats/")]
        if chance.random() < 0.15:
            columns = table.column_names
        name = columns[int(chance.integers(len(columns)))]
        rows = table.column(name).to_pylist()
        row = int(chance.integers(len(rows)))
        value = hostile_value(chance, rows[row])
        if isinstance(rows[row], int) and not isinstance(rows[row], bool):
            near = (rows[row] + 1, rows[row] - 1, -1, 0, 10**6, 2**62, None)
            value = near[int(chance.integers(len(near)))]
        changed = [*rows[:row], value, *rows[row + 1 :]]
        try:
            array = pa.array(changed, table.column(name).type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError, ValueError):
            try:
                array = pa.array([None if c is None else str(c)[:500] for c in changed])
            except UnicodeEncodeError:
                array = pa.nulls(len(changed))
        _put(path, table, name, array)
        return Spoilt(
            f"{name} of episode {row} is {shown(value)}", {"tasks": name.startswith("task")}
        )

    def episode_rows(self, chance: Chance, folder: Path) -> Spoilt:
        """Exchange, repeat or drop episodes' rows."""
        path = folder / _NAME / _ROWS
        table = pq.read_table(path)
        order = np.arange(table.num_rows)
        ways = {
            "the first missing": order[1:],
            "the last missing": order[:-1],
            "reversed": order[::-1],
            "the first twice": np.insert(order, 0, 0),
            "the last twice": np.append(order, order[-1]),
            "none": order[:0],
            "the middle missing": np.delete(order, 1),
        }
        way = list(ways)[int(chance.integers(len(ways)))]
        changed = table.take(pa.array(ways[way]))
        mended = chance.random() < 0.4
        if mended:
            info = folder / _NAME / "meta" / "info.json"
            content = json.loads(info.read_text())
            content["total_episodes"] = changed.num_rows
            write_anew(info, json.dumps(content).encode())
        write_table(path, changed)
        return Spoilt(f"episodes: {way}{', and info.json says so' if mended else ''}")

    def tasks_table(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the table of tasks."""
        path = folder / _NAME / _TASKS
        table = pq.read_table(path)
        ways: dict[str, Callable[[], pa.Table]] = {
            "empty": lambda: table.slice(0, 0),
            "twice": lambda: pa.concat_tables([table, table]),
            "renamed": lambda: table.rename_columns([n + "s" for n in table.column_names]),
            "without words": lambda: table.select(["task_index"]),
            "of another number": lambda: table.set_column(0, "task_index", pa.array([7])),
            "of other words": lambda: table.set_column(1, "task", pa.array(["stack the cups"])),
            "of null": lambda: table.set_column(1, "task", pa.array([None], pa.string())),
        }
        way = list(ways)[int(chance.integers(len(ways)))]
        write_table(path, ways[way]())
        return Spoilt(f"tasks: {way}")

    def table_bytes(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil the bytes of a table."""
        path = folder / _NAME / (_DATA, _ROWS, _TASKS)[int(chance.integers(3))]
        data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        return Spoilt(f"{path.relative_to(folder)}: {what}")

    def video(self, chance: Chance, folder: Path) -> Spoilt:
        """Spoil a video, or put another in its place."""
        paths = sorted((folder / _NAME / "videos").rglob("*.mp4"))
        path = paths[int(chance.integers(len(paths)))]
        other = next(each for each in paths if each != path)
        act = chance.random()
        if act < 0.25:
            write_anew(path, other.read_bytes())
            return Spoilt(f"{path.parent.parent.name} has the other camera's images")
        if act < 0.5:
            way = ("half", "none", "large", "twice", "one less", "backwards")[
                int(chance.integers(6))
            ]
            images = _read(path)
            count = len(images)
            made = {
                "half": images[: count // 2],
                "none": images[:1],
                "large": [cv2.resize(image, (128, 96)) for image in images],
                "twice": images + images,
                "one less": images[:-1],
                "backwards": images[::-1],
            }[way]
            path.unlink()
            _write(path, made)
            return Spoilt(f"{path.parent.parent.name}: {way}")
        data, what = spoil_bytes(chance, path.read_bytes())
        write_anew(path, data)
        return Spoilt(f"{path.parent.parent.name}: {what}")

    def files(self, chance: Chance, folder: Path) -> Spoilt:
        """Change which files there are."""
        root = folder / _NAME
        ways: dict[str, Callable[[], object]] = {
            "a second file of frames": lambda: shutil.copy(
                root / _DATA, (root / _DATA).with_name("file-001.parquet")
            ),
            "a second file of episodes": lambda: shutil.copy(
                root / _ROWS, (root / _ROWS).with_name("file-001.parquet")
            ),
            "a draft beside the episodes": lambda: (
                (root / _ROWS).with_name("x.parquet").write_bytes(b"PAR1")
            ),
            "no episodes": lambda: shutil.rmtree(root / "meta" / "episodes"),
            "no frames": lambda: shutil.rmtree(root / "data"),
            "no videos": lambda: shutil.rmtree(root / "videos"),
            "no videos of a camera": lambda: shutil.rmtree(
                root / "videos" / "observation.images.third_cam"
            ),
            "no meta": lambda: shutil.rmtree(root / "meta"),
            "no dataset": lambda: shutil.rmtree(root),
            "a file in its place": lambda: (shutil.rmtree(root), root.write_text("nothing")),
            "meta is a file": lambda: (
                shutil.rmtree(root / "meta"),
                (root / "meta").write_text("x"),
            ),
            "pieces beside": lambda: (root / "pieces" / "x").mkdir(parents=True),
            "frames for episodes": lambda: write_anew(root / _ROWS, (root / _DATA).read_bytes()),
            "episodes for frames": lambda: write_anew(root / _DATA, (root / _ROWS).read_bytes()),
        }
        way = list(ways)[int(chance.integers(len(ways)))]
        ways[way]()
        return Spoilt(way)

    def instead(self, chance: Chance, folder: Path) -> Spoilt:
        """Put something else into a file's place."""
        paths = sorted(path for path in (folder / _NAME).rglob("*") if path.is_file())
        path = paths[int(chance.integers(len(paths)))]
        return Spoilt(replace_file(chance, path))


def _images(images: Any, expected: dict[str, Any]) -> list[str]:
    """Return which images say that they are another's."""
    found = []
    for camera in CAMERAS:
        for row, (image, ms) in enumerate(zip(images[camera], expected[camera])):
            whose, said_ms = said_by(image)
            if whose != camera or abs(said_ms - ms) > 1:
                found.append(f"row {row}: {camera} shows {whose} at {said_ms} ms, not {ms:.0f}")
    return found[:2]


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table in the place of another."""
    path.unlink()
    pq.write_table(table, path)


def _put(path: Path, table: pa.Table, name: str, column: pa.Array) -> None:
    write_table(path, table.set_column(table.column_names.index(name), name, column))


def _exchanged(order: Any, a: int, b: int) -> Any:
    changed = order.copy()
    changed[[a, b]] = changed[[b, a]]
    return changed


def _as_text(table: pa.Table, place: int) -> pa.Table:
    texts = [str(value) for value in table.column(place).to_pylist()]
    return table.set_column(place, table.column_names[place], pa.array(texts))


def _as_dictionary(table: pa.Table, place: int) -> pa.Table:
    if pa.types.is_nested(table.column(place).type):
        return _as_text(table, place)
    encoded = table.column(place).dictionary_encode()
    return table.set_column(place, table.column_names[place], encoded)


def _with_null(table: pa.Table, place: int) -> pa.Table:
    column = table.column(place)
    values = column.to_pylist()
    values[len(values) // 2] = None
    return table.set_column(place, table.column_names[place], pa.array(values, column.type))


def _cast(table: pa.Table, place: int, kind: Any) -> pa.Table:
    """Return a table with a column of another type, or of texts if that can't be."""
    try:
        column = table.column(place).combine_chunks().cast(kind, safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, NotImplementedError):
        return _as_text(table, place)
    return table.set_column(place, table.column_names[place], column)


def _read(path: Path) -> list[Any]:
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _write(path: Path, images: Sequence[Any]) -> None:
    import av

    height, width, _ = images[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE_HZ)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 2_000_000
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
