"""Whatever kills a conversion: no reader opens half a dataset, and a second run completes it."""

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest

from carp_ros.files import whole_file
from carp_ros.recording.bag_frames import FrameSettings
from carp_ros.recording.conversion import EpisodeFilter, convert, find_episodes
from carp_ros.recording.dataset_files import INFO, read_episodes
from carp_ros.recording.tables import read_columns


@pytest.fixture(scope="module")
def bags(tmp_path_factory, make_recording):
    folder = tmp_path_factory.mktemp("bags")
    for seed in range(4):
        make_recording(seed=seed, seconds=1.2).write(folder / f"episode_{seed}")
    return find_episodes([folder])


def contents(root) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def run(bags, root) -> None:
    for outcome in convert(bags, root, FrameSettings(), EpisodeFilter()):
        assert outcome.status in ("added", "present")


@pytest.fixture(scope="module")
def whole(bags, tmp_path_factory):
    """Datasets that nothing interrupted: of one run, and of two."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    run(bags, one)
    run(bags[:2], two)
    run(bags, two)
    return {1: contents(one), 2: contents(two)}


def require_consistent(root) -> None:
    """A dataset that a reader would open has exactly the frames that it speaks of."""
    if (root / INFO).exists():
        info = json.loads((root / INFO).read_text())
        columns = [read_columns(path)["index"] for path in sorted(root.glob("data/*/*.parquet"))]
        assert np.concatenate(columns)[:, 0].tolist() == list(range(info["total_frames"]))
        assert len(read_episodes(root)) == info["total_episodes"]


class PowerCut(BaseException):
    """Ends a conversion where it stands."""


class Fuse:
    """Lets the disk take a few writes, then none."""

    def __init__(self, syncs: int, sync) -> None:
        self._left = syncs
        self._sync = sync

    def __call__(self, path) -> None:
        if self._left == 0:
            raise PowerCut
        self._left -= 1
        self._sync(path)


@pytest.mark.parametrize("runs", [1, 2])
def test_a_cut_at_any_write_is_made_good_to_the_byte(bags, whole, tmp_path, monkeypatch, runs):
    sync = whole_file.sync
    cuts = 0
    for syncs in range(0, 1000, 5):
        root = tmp_path / str(syncs)
        root.mkdir()
        if runs == 2:
            run(bags[:2], root)
        with monkeypatch.context() as patch:
            patch.setattr(whole_file, "sync", Fuse(syncs, sync))
            try:
                run(bags, root)
            except PowerCut:
                cuts += 1
            else:
                break
        require_consistent(root)
        run(bags, root)
        assert contents(root) == whole[runs]
    assert cuts > 5


def test_strays_of_a_killed_run_do_not_get_into_another(bags, whole, tmp_path, monkeypatch):
    sync = whole_file.sync
    run(bags[:2], tmp_path)
    before = contents(tmp_path)
    for syncs in range(0, 60, 7):
        with monkeypatch.context() as patch:
            patch.setattr(whole_file, "sync", Fuse(syncs, sync))
            with suppress(PowerCut):
                run(bags, tmp_path)
        if len(read_episodes(tmp_path)) > 2:
            break
        run(bags[:2], tmp_path)
        assert contents(tmp_path) == before


def test_a_kill_at_a_random_moment_is_made_good_to_the_byte(bags, whole, tmp_path):
    rng = np.random.default_rng(0)
    carp = [sys.executable, "-c", "from carp_ros.cli.main import main; main()"]
    command = [*carp, "convert", *map(str, bags)]
    killed = 0
    for number, after_s in enumerate(rng.uniform(0.0, 1.0, 4)):
        root = tmp_path / str(number)
        with subprocess.Popen([*command, "--out", str(root)], stdout=subprocess.PIPE) as process:
            while not root.exists() and process.poll() is None:
                time.sleep(0.01)
            time.sleep(after_s)
            process.send_signal(signal.SIGKILL)
        killed += process.returncode == -signal.SIGKILL
        require_consistent(root)
        run(bags, root)
        assert contents(root) == whole[1]
    assert killed >= 2
