"""`carp train` on a dataset of another program, to a policy that is asked from Python."""

import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from carp_ros import Observation, load_policy
from carp_ros.cli import train as verb
from carp_ros.cli.train import ForeignDatasetOptions, PolicyCommand, TokenizerCommand
from carp_ros.inference.policy_spec import ImageSize
from carp_ros.recording.open_dataset import open_demonstrations
from carp_ros.training.images import read_images
from carp_ros.training.windows import read_windows, split_episodes

from ..foreign_dataset import Written, write_foreign_dataset

JOINTS = Written(images=None, lengths=(30, 5, 30, 30), fps=50)


def test_a_regression_learns_from_joints_and_plans_from_python(tmp_path, capsys):
    root = write_foreign_dataset(tmp_path / "set", JOINTS)
    out = tmp_path / "run"
    command = PolicyCommand(root, out, "regression", preset="state", epochs=2, batch=16)
    assert verb.main(command) == 0
    said = capsys.readouterr().out
    assert "left out: note: dtype is 'string'" in said
    assert f"bundle: {out / 'bundle'}" in said
    policy = load_policy(out / "bundle", "Open the drawer.", time.monotonic_ns)
    assert policy.spec.tasks == JOINTS.instructions
    assert (policy.spec.step_s, policy.spec.state.names) == (1 / 50, JOINTS.names)
    seen = Observation.of_numbers(time.monotonic_ns(), np.full(6, 0.25))
    plan = policy.infer([seen])
    assert plan.actions.shape == (16, 6)
    assert plan.chunk is None
    np.testing.assert_allclose(plan.actions[:, 0], 0.25, atol=1e-3)  # as it always was


@pytest.mark.parametrize("state", [("observation.state",), ("observation.state", "action")])
def test_a_tokenizer_is_fitted_to_the_layout_of_the_dataset(tmp_path, state):
    """Whether a state has as many numbers as an action, or more."""
    root = write_foreign_dataset(tmp_path / "set", JOINTS)
    learn = ForeignDatasetOptions(state=state)
    assert verb.main(TokenizerCommand(root, tmp_path / "tokens", epochs=1, learn=learn)) == 0
    command = PolicyCommand(
        root,
        tmp_path / "run",
        tokenizer=tmp_path / "tokens",
        preset="state",
        epochs=1,
        batch=16,
        learn=learn,
    )
    assert verb.main(command) == 0
    policy = load_policy(tmp_path / "run" / "bundle", "Open the drawer.", time.monotonic_ns)
    seen = Observation.of_numbers(time.monotonic_ns(), np.full(6 * len(state), 0.25))
    assert np.isfinite(policy.infer([seen]).actions).all()


def test_features_are_chosen_by_name(tmp_path, capsys):
    root = write_foreign_dataset(tmp_path / "set", JOINTS)
    learn = ForeignDatasetOptions(state=("observation.effort",))
    with pytest.raises(ValueError, match=r"no feature observation.effort .* name it with --state"):
        verb.main(TokenizerCommand(root, tmp_path / "tokens", learn=learn))


def test_an_episode_whose_images_can_not_be_read_is_neither_learnt_nor_validated(tmp_path):
    written = replace(JOINTS, images="h264")
    root = write_foreign_dataset(tmp_path / "set", written)
    (path,) = (root / "videos" / "observation.images.top").glob("*/*.mp4")
    content = bytearray(path.read_bytes())
    place = content.index(b"mdat") + len(content) // 3
    content[place : place + 400] = bytes(400)
    path.write_bytes(content)
    dataset = open_demonstrations(root)
    images, unreadable = read_images(dataset, ImageSize(32, 24), tmp_path / "c", lambda n: None)
    assert 0 < len(unreadable) < 4
    assert all(f"episode {e}: camera top" in reason for e, reason in unreadable.items())
    again, same = read_images(dataset, ImageSize(32, 24), tmp_path / "c", lambda n: None)
    assert same == unreadable
    assert all((again[camera] == images[camera]).all() for camera in images)
    windows = read_windows(dataset, 8)
    if len(unreadable) < 2:
        trained, held_out = split_episodes(windows, 0.02, 0, 0, unreadable.keys())
        assert not {*windows.episodes[trained], *windows.episodes[held_out]} & unreadable.keys()
