"""Where a bundle may be written, and of what: refused by name before anything is lost."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'carp_ros[train]'")

from carp_ros.export.bundle import require_replaceable  # noqa: E402
from carp_ros.export.training_run import export_run  # noqa: E402
from carp_ros.training.example import EXAMPLE, write_example  # noqa: E402
from carp_ros.training.run_folder import CONFIG, RunFolder  # noqa: E402

from ..training.small_world import make_network, make_run_config, make_world  # noqa: E402


@pytest.fixture
def run(tmp_path):
    data, images = make_world()
    network = make_network(data)
    folder = RunFolder(tmp_path / "run", make_run_config(network))
    folder.save({}, network.state_dict())
    example = {"image_cam": images["cam"][:1], "state": data.states[:1]}
    write_example(folder.path, example)
    return folder.path


def test_a_folder_of_something_else_is_never_replaced(run, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for place, reason in (
        (home, r"home: holds 1 files, but no policy\.yaml"),
        (tmp_path / "file", "file: is a file"),
        (tmp_path / "file" / "below", "below can't be written: Not a directory"),
        (run, r"no policy\.yaml"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(ValueError, match=reason):
            export_run(run, place, {})
    assert (home / "thesis.txt").read_text() == "years of work"
    (home / "policy.yaml").write_text("")
    (home / "photos").mkdir()
    with pytest.raises(ValueError, match="has folders in it"):
        require_replaceable(home)


def test_an_export_that_fails_leaves_what_was_there_and_no_draft(run, tmp_path, monkeypatch):
    out = tmp_path / "out" / "bundle"
    export_run(run, out, {})
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def fails(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("carp_ros.export.bundle.share_weights", fails)
    with pytest.raises(KeyboardInterrupt):
        export_run(run, out, {})
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert list(out.parent.iterdir()) == [out]
    with pytest.raises(ValueError, match="is inside"):
        export_run(out, out / "again", {})


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.pop("state"),
        lambda e: e.update(state=np.zeros((1, 9), np.float32)),
        lambda e: e.update(state=np.full((1, 10), np.nan, np.float32)),
        lambda e: e.update(image_cam=np.zeros((1, 9, 9, 3), np.uint8)),
        lambda e: e.update(image_cam=e["image_cam"].astype(np.float64)),
    ],
)
def test_a_moment_that_the_network_can_not_be_given_is_refused(run, tmp_path, change):
    with np.load(run / EXAMPLE) as archive:
        example = dict(archive)
    change(example)
    write_example(run, example)
    with pytest.raises(ValueError, match=r"the example|example's state"):
        export_run(run, tmp_path / "bundle", {})
    assert not (tmp_path / "bundle").exists()


def test_an_example_that_is_cut_off_or_unpacks_without_end_is_refused(run, tmp_path):
    whole = (run / EXAMPLE).read_bytes()
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros(200_000_000, np.uint8))
    for content in (b"", whole[:100], whole[:-10], (tmp_path / "bomb.npz").read_bytes()):
        (run / EXAMPLE).write_bytes(content)
        with pytest.raises(ValueError, match=r"example\.npz"):
            export_run(run, tmp_path / "bundle", {})


@pytest.mark.parametrize("key", ["rig", "step_s", "cameras", "tasks", "ranges", "recipe"])
@pytest.mark.parametrize("value", [None, -1, "../x", [], {"a": 1}, 1e9])
def test_what_a_training_says_of_itself_is_checked(run, tmp_path, key, value):
    content = json.loads((run / CONFIG).read_text())
    content[key] = value
    (run / CONFIG).write_text(json.dumps(content))
    if (key, value) == ("rig", "../x") or (key, value) == ("cameras", []):
        pytest.skip("a name that is compared alone; a network without cameras is of other weights")
    with pytest.raises(ValueError, match=str(run)):
        export_run(run, tmp_path / "bundle", {})
    shutil.rmtree(tmp_path / "bundle", ignore_errors=True)
