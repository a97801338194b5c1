"""Demonstrations as a dataset in LeRobot's format v3.0: what `carp train` is given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.metaworld.demonstrations import ACTION, STATE, TASKS, Demonstrations, Floats
from carp_ros.files.whole_file import whole_folder

FPS = 80
"""Meta-World's: a step is five of 2.5 ms."""

_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_FIRST = {"chunk_index": 0, "file_index": 0}
_ACTIONS = ("dx", "dy", "dz", "gripper_effort")
_HAND = ("hand.x", "hand.y", "hand.z", "opening")
_STATES = (
    *(f"{name}.now" for name in _HAND),
    *(f"objects_{i}.now" for i in range(14)),
    *(f"{name}.before" for name in _HAND),
    *(f"objects_{i}.before" for i in range(14)),
    *("goal.x", "goal.y", "goal.z"),
)


def dataset_of(folder: Path, data: Demonstrations, task_names: Sequence[str]) -> Path:
    """Return the dataset of some tasks, written if it is not there yet.

    Args:
        folder: Where it is kept, under the digest of the demonstrations.
        data: The demonstrations.
        task_names: Of the tasks.

    Raises:
        ValueError: If a task has no demonstration.
    """
    name = task_names[0] if len(task_names) == 1 else "all"
    root = folder / f"{name}_{data.digest}"
    if not root.is_dir():
        episodes = list(_episodes(data, task_names))
        with whole_folder(root) as draft:
            _write(draft, episodes, task_names)
    return root


def _episodes(
    data: Demonstrations, task_names: Sequence[str]
) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield task, states and actions of each episode."""
    ends = np.cumsum(data.lengths)
    for name in task_names:
        places = np.flatnonzero(data.tasks == TASKS.index(name))
        if not len(places):
            raise ValueError(f"no demonstration of {name}; demonstrate it first")
        for place in places:
            frames = slice(ends[place] - data.lengths[place], ends[place])
            yield name, data.states[frames], data.actions[frames]


def _write(
    root: Path, episodes: Sequence[tuple[str, Floats, Floats]], tasks: Sequence[str]
) -> None:
    tables: list[pa.Table] = []
    rows: list[dict[str, Any]] = []
    first = 0
    for index, (task, states, actions) in enumerate(episodes):
        within = np.arange(len(states))
        tables.append(
            pa.table(
                {
                    "observation.state": _rows(states),
                    "action": _rows(actions),
                    "timestamp": (within / FPS).astype(np.float32),
                    "frame_index": within,
                    "episode_index": np.full(len(states), index),
                    "index": first + within,
                    "task_index": np.full(len(states), tasks.index(task)),
                }
            )
        )
        place = {f"data/{name}": value for name, value in _FIRST.items()}
        ends = {"dataset_from_index": first, "dataset_to_index": first + len(states)}
        rows.append(
            {"episode_index": index, "tasks": [task], "length": len(states), **place, **ends}
        )
        first += len(states)
    _save(root / "data" / _FILE.format(**_FIRST), pa.concat_tables(tables))
    _save(root / "meta" / "episodes" / _FILE.format(**_FIRST), pa.Table.from_pylist(rows))
    numbered = {"task_index": list(range(len(tasks))), "task": list(tasks)}
    _save(root / "meta" / "tasks.parquet", pa.table(numbered))
    info = json.dumps(_info(rows, len(tasks)), indent=4)
    (root / "meta" / "info.json").write_text(info + "\n", encoding="utf-8")


def _info(rows: Sequence[dict[str, Any]], tasks: int) -> dict[str, Any]:
    one = {"dtype": "int64", "shape": [1], "names": None}
    return {
        "codebase_version": "v3.0",
        "robot_type": "sawyer",
        "total_episodes": len(rows),
        "total_frames": sum(row["length"] for row in rows),
        "total_tasks": tasks,
        "chunks_size": 1000,
        "fps": FPS,
        "splits": {"train": f"0:{len(rows)}"},
        "data_path": f"data/{_FILE}",
        "video_path": None,
        "features": {
            "observation.state": {"dtype": "float32", "shape": [STATE], "names": list(_STATES)},
            "action": {"dtype": "float32", "shape": [ACTION], "names": list(_ACTIONS)},
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
            **{name: one for name in ("frame_index", "episode_index", "index", "task_index")},
        },
    }


def _rows(numbers: Floats) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(numbers).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, numbers.shape[1])


def _save(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
