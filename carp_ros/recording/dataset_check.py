"""Checks that a dataset is what `carp convert` writes, before anything reads or extends it.

Nearly everything in a dataset follows from its episodes, so it is recomputed and compared. This
finds files that were edited, truncated, or taken from another dataset. Images are counted, not
decoded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carp_ros.files.plain_json import load_json
from carp_ros.geometry import rot6d_error
from carp_ros.recording.dataset_content import (
    DIGESTS,
    STATISTICS,
    TASKS,
    digests_of,
    info_of,
    place_of,
    row_statistics,
    statistics_of,
    tasks_of,
)
from carp_ros.recording.dataset_files import (
    INFO,
    Row,
    data_path,
    number_of,
    read_episodes,
    read_spec,
    video_path,
)
from carp_ros.recording.dataset_spec import DatasetSpec, video_key
from carp_ros.recording.episode import Verdict
from carp_ros.recording.statistics import column_statistics
from carp_ros.recording.tables import Columns, read_columns, read_rows
from carp_ros.refusal import refusing, shortened
from carp_ros.strict import read_strictly

_MOST_STATISTICS_BYTES = 5_000_000
_CLOSE = 1e-5, 1e-7  # relative and absolute: summation order differs between libraries
_UNIT_WITHIN = 0.01
_FARTHEST_M = 10.0


@dataclass(frozen=True)
class _Facts:
    """The columns of an episode's row other than its location and statistics."""

    tasks: tuple[str]
    source: str
    started_ns: int
    task: str
    operator: str
    seed: int | None
    success: bool | None
    verdict: Verdict
    software: str
    first_frame_ns: int


def checked_dataset(root: Path) -> tuple[DatasetSpec, list[Row], Columns]:
    """Return a finished dataset's spec, its episodes' rows and the columns of all frames.

    Raises:
        ValueError: If it is not a dataset of `carp convert`, or was damaged since.
    """
    spec = read_spec(root)
    if not (root / INFO).is_file():
        raise ValueError(f"no {root / INFO}: the conversion was interrupted; run it again")
    rows = read_episodes(root)
    columns = check_episodes(root, spec, rows)
    with _refusing_dataset(root):
        _check_meta(root, spec, rows)
    return spec, rows, columns


def check_episodes(root: Path, spec: DatasetSpec, rows: Sequence[Row]) -> Columns:
    """Return the columns of all episodes, whether or not the dataset is finished.

    Raises:
        ValueError: If rows, numbers and videos are inconsistent.
    """
    with _refusing_dataset(root):
        if not rows:
            raise ValueError("it holds no episode")
        _check_rows(spec, rows)
        tables = {n: read_columns(root / data_path(n)) for n in sorted(set(map(number_of, rows)))}
        for number, table in tables.items():
            length = sum(row["length"] for row in rows if number_of(row) == number)
            _check_table(spec, table, length, data_path(number))
        columns = {
            name: np.concatenate([table[name] for table in tables.values()])
            for name in spec.columns
        }
        _check_order(spec, rows, columns)
        _check_numbers(columns)
        _check_statistics(rows, columns)
        _check_videos(root, spec, rows)
    return columns


def _refusing_dataset(root: Path) -> Any:
    return refusing(ValueError, f"{root} is not what `carp convert` writes; convert it anew")


def _check_rows(spec: DatasetSpec, rows: Sequence[Row]) -> None:
    names = _Facts.__dataclass_fields__
    first = before = last = 0
    for index, row in enumerate(rows):
        where = f"episode {index}"
        read_strictly(_Facts, {name: row[name] for name in names if name in row}, where)
        length = row.get("length")
        if type(length) is not int or length < 1:
            raise ValueError(f"{where}: length is {length!r}; expected at least 1")
        number = number_of(row)
        if number not in ((last, last + 1) if index else (0,)):
            raise ValueError(f"{where} is in the files {number}; expected {last} or the next")
        before = before if number == last else 0
        for key, value in place_of(spec, index, length, first, before, number).items():
            if row.get(key) != value:
                raise ValueError(f"{where}: {key} is {row.get(key)!r}; expected {value!r}")
        first, before, last = first + length, before + length, number


def _check_table(spec: DatasetSpec, table: Columns, length: int, name: str) -> None:
    if table.keys() != spec.columns.keys():
        odd = sorted(table.keys() ^ spec.columns.keys())
        raise ValueError(f"{name}: columns {', '.join(odd)} are missing or unexpected")
    for column, feature in spec.columns.items():
        found, shape = table[column], (length, *feature["shape"])
        if found.dtype != feature["dtype"] or found.shape != shape:
            raise ValueError(
                f"{name}: {column} is {found.dtype} of shape {found.shape}; expected"
                f" {feature['dtype']} of shape {shape}"
            )


def _check_order(spec: DatasetSpec, rows: Sequence[Row], columns: Columns) -> None:
    """Reject tables whose rows are not in order of episode and frame."""
    lengths = np.array([row["length"] for row in rows])
    tasks = tasks_of(rows)
    within = np.concatenate([np.arange(length) for length in lengths])
    seconds = within / spec.rate_hz
    expected = {
        "index": np.arange(len(within)),
        "episode_index": np.repeat(np.arange(len(rows)), lengths),
        "frame_index": within,
        "task_index": np.repeat([tasks.index(row["tasks"][0]) for row in rows], lengths),
        "timestamp": seconds.astype(np.float32),
    }
    for name, values in expected.items():
        _require(columns, name, columns[name][:, 0] == values, f"{name} in order")
    stamps_ns = columns["stamp_ns"][:, 0]
    # equal stamps are allowed: a camera slightly slower than the frames repeats now and then
    in_order = np.diff(stamps_ns, prepend=0) >= 0
    _require(columns, "stamp_ns", np.where(within == 0, stamps_ns == 0, in_order), "rising from 0")
    tolerance_ns = 1e9 * max(0.5 / spec.rate_hz, spec.skew_s) + 1
    near = np.abs(stamps_ns - 1e9 * seconds) <= tolerance_ns
    _require(columns, "stamp_ns", near, f"timestamp, within {tolerance_ns * 1e-9:.3f} s")
    for camera in spec.cameras:
        skew_s = spec.skew_s if camera != spec.reference else 0.0
        apart_ns = np.abs(columns[f"stamp_ns.{camera}"][:, 0] - stamps_ns)
        near = apart_ns <= round(skew_s * 1e9)
        _require(columns, f"stamp_ns.{camera}", near, f"stamp_ns, within {skew_s} s")


def _check_numbers(columns: Columns) -> None:
    for name, column in columns.items():
        if column.dtype.kind == "f":
            _require(columns, name, np.isfinite(column).all(axis=1), "finite numbers")
    for name in ("observation.state", "action"):
        column = columns[name].astype(np.float64)
        near = np.asarray(np.abs(column[:, :3]) <= _FARTHEST_M).all(axis=1)
        _require(columns, name, near, f"positions within {_FARTHEST_M:.0f} m")
        turned = rot6d_error(column[:, 3:9]) <= _UNIT_WITHIN
        _require(columns, name, turned, "two columns of a rotation matrix")
    gripper = columns["action"][:, 9]
    _require(columns, "action", (gripper >= 0.0) & (gripper <= 1.0), "a gripper of 0 to 1")


def _require(columns: Columns, name: str, good: Any, expected: str) -> None:
    if not np.all(good):
        frame = int(np.argmin(good))
        value = np.squeeze(columns[name][frame]).tolist()
        raise ValueError(f"frame {frame}: {name} is {value}; expected {expected}")


def _check_statistics(rows: Sequence[Row], columns: Columns) -> None:
    """Reject episodes whose statistics do not match their numbers."""
    for index, row in enumerate(rows):
        frames = slice(row["dataset_from_index"], row["dataset_to_index"])
        said = row_statistics(row)
        for feature, column in columns.items():
            where = f"episode {index}: statistics of {feature}"
            _require_close(said.pop(feature, {}), column_statistics(column[frames]), where)
        for feature, statistics in said.items():
            where = f"episode {index}: statistics of {feature}"
            if not feature.startswith(video_key("")) or statistics.get("count") != row["length"]:
                raise ValueError(f"{where} are not those of {row['length']} images")
            for name, values in statistics.items():
                inside = (values >= 0.0) & (values <= 1.0)
                if name != "count" and (values.shape != (3, 1, 1) or not inside.all()):
                    raise ValueError(f"{where}: {name} is {values.tolist()}; expected 0 to 1")


def _require_close(said: Mapping[str, Any], true: Mapping[str, Any], where: str) -> None:
    if said.keys() != true.keys():
        raise ValueError(f"{where} are {', '.join(said) or 'missing'}; expected {', '.join(true)}")
    for name, values in true.items():
        found = np.asarray(said[name])
        if found.shape != np.shape(values) or not np.allclose(found, values, *_CLOSE):
            raise ValueError(
                shortened(
                    f"{where}: {name} is {found.tolist()}; expected {np.asarray(values).tolist()}"
                )
            )


def _check_videos(root: Path, spec: DatasetSpec, rows: Sequence[Row]) -> None:
    try:
        from carp_ros.recording.video import check_video
    except ImportError:  # a machine that only trains has no PyAV and reads images from a cache
        return
    for number in sorted(set(map(number_of, rows))):
        frames = sum(row["length"] for row in rows if number_of(row) == number)
        for camera, size_px in spec.cameras.items():
            check_video(root / video_path(camera, number), frames, size_px, spec.rate_hz)


def _check_meta(root: Path, spec: DatasetSpec, rows: Sequence[Row]) -> None:
    info = load_json(root / INFO)
    features = info.get("features")
    named = features if isinstance(features, dict) else {}
    # codec names differ between versions of the video library: not an error
    videos = {camera: _section(named.get(video_key(camera))) for camera in spec.cameras}
    for path, said, true in _differences(info, info_of(spec, rows, videos)):
        raise ValueError(shortened(f"{INFO}: {path} is {said!r}; expected {true!r}"))
    said = load_json(root / STATISTICS, _MOST_STATISTICS_BYTES)
    true: dict[str, dict[str, Any]] = statistics_of(rows)
    if said.keys() != true.keys():
        raise ValueError(f"{STATISTICS} has {', '.join(said)}; expected {', '.join(true)}")
    for feature, values in true.items():
        _require_close(said[feature], values, f"{STATISTICS}: {feature}")
    tasks = [(row.get("task_index"), row.get("task")) for row in read_rows(root / TASKS)]
    if tasks != list(enumerate(tasks_of(rows))):
        raise ValueError(shortened(f"{TASKS} holds {tasks}; expected {tasks_of(rows)}"))
    _check_digests(root, spec, rows)


def _check_digests(root: Path, spec: DatasetSpec, rows: Sequence[Row]) -> None:
    """Reject a video whose SHA-256 is not the recorded one, even if the image count matches."""
    if not os.path.lexists(root / DIGESTS):  # older datasets lack it; a broken link is an error
        return
    said = load_json(root / DIGESTS)
    true = digests_of(root, spec, rows)
    if said.keys() != true.keys():
        raise ValueError(shortened(f"{DIGESTS} has {', '.join(said)}; expected {', '.join(true)}"))
    for path, digest in true.items():
        if digest not in (None, said[path]):
            raise ValueError(f"{path} was changed: its SHA-256 is not that of {DIGESTS}")


def _section(feature: Any) -> dict[str, Any]:
    info = feature.get("info") if isinstance(feature, dict) else None
    return info if isinstance(info, dict) else {}


def _differences(said: Any, true: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each difference between two trees of values: its path, the found and expected value."""
    if isinstance(said, dict) and isinstance(true, dict):
        for key in dict.fromkeys((*true, *said)):
            yield from _differences(said.get(key), true.get(key), f"{path}.{key}".lstrip("."))
    elif said != true or type(said) is not type(true):
        yield path, said, true
