"""The comparison of tokenizers, with few steps and little data."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")
pytest.importorskip("tokenizers", reason="FAST needs it: pip install 'carp_ros[train]'")

from bench.tokenizers import chunks as chunks_module  # noqa: E402
from bench.tokenizers.chunks import Chunks, chunks_of, synthetic_windows  # noqa: E402
from bench.tokenizers.contenders import (  # noqa: E402
    NAMES,
    SCALES,
    budget_of,
    fast_scale,
    faster_recipe,
)
from bench.tokenizers.measure import measure_all, rows_in, time_all  # noqa: E402
from bench.tokenizers.metrics import errors_of, reference_of, tensors  # noqa: E402
from bench.tokenizers.report import report, tables  # noqa: E402
from carp_ros.training.windows import split_episodes  # noqa: E402

from ..small_dataset import write_small_dataset  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Which:
    out: Path
    data: tuple[str, ...] = ("synthetic",)
    tokenizers: tuple = NAMES
    seeds: tuple[int, ...] = (0,)
    preset: str = "tiny"


@pytest.fixture(scope="module")
def few() -> Chunks:
    windows = synthetic_windows(0, episodes=12, frames=40)
    return Chunks("synthetic", windows, *split_episodes(windows, 0.1, 0, 0))


def test_made_episodes_are_those_of_their_seed():
    first, again, other = (synthetic_windows(seed, 3, 50) for seed in (0, 0, 1))
    assert first.actions.shape == (150, 20, 10)
    np.testing.assert_array_equal(first.actions, again.actions)
    assert not np.array_equal(first.actions, other.actions)


def test_a_made_action_is_the_next_frames_pose_and_stays_at_the_end_of_an_episode():
    made = synthetic_windows(0, 2, 50)
    np.testing.assert_array_equal(made.actions[:49, 0], made.states[1:50])
    np.testing.assert_array_equal(made.actions[10, 5], made.actions[15, 0])
    assert (made.actions[49] == made.actions[49, 0]).all()
    assert made.episodes.tolist() == [0] * 50 + [1] * 50


def test_made_episodes_move_and_turn_and_their_grippers_change():
    made = synthetic_windows(0, 40, 100)
    actions, gripper = made.actions[:, 0], made.actions[..., 9]
    assert 0.02 < actions[:, :3].std() < 0.3
    assert set(np.unique(gripper)) == {0.0, 1.0}
    changes = (np.diff(gripper) != 0).sum(axis=1)
    assert 0.5 < changes.mean() < 1.2
    steps = np.linalg.norm(np.diff(made.actions[..., :3], axis=1), axis=-1)
    assert steps.max() < 0.1  # [m] in 0.05 s
    jerk = np.diff(made.actions[..., :3], n=3, axis=1)
    assert np.abs(jerk).max() > 1e-3  # it trembles


def test_a_dataset_is_named_by_its_folder_and_split_by_its_seed(tmp_path):
    chunks = chunks_of(str(write_small_dataset(tmp_path / "cups" / "dataset")), 0)
    assert (chunks.name, chunks.horizon, chunks.has_tool) == ("cups", 16, True)
    held_out = set(chunks.data.episodes[chunks.held_out].tolist())
    assert not held_out & set(chunks.data.episodes[chunks.trained].tolist())


def test_faster_has_the_same_tokens_whatever_the_horizon(few):
    assert budget_of(few, "tiny") == budget_of(few, "cpu-small") == 21
    assert faster_recipe(few, "tiny").network.vq.horizon == 20


def test_fast_takes_the_largest_scale_whose_mean_is_within_the_budget(few):
    scale, tried = fast_scale(few, 0, 21, SCALES, None)
    of_it = next(one for one in tried if one["scale"] == scale)
    assert 19.0 < of_it["tokens_mean"] <= 21.0
    assert all(one["tokens_mean"] > 21.0 for one in tried if one["scale"] > 1.1 * scale)


@pytest.mark.parametrize(("best", "sign"), [("error", 1), ("share_within_0.1", -1)])
def test_fast_takes_the_scale_that_is_best_when_it_is_cut(few, best, sign):
    scale, tried = fast_scale(few, 0, 21, (1.0, 6.0, 15.0, 200.0), best)
    assert scale == min(tried, key=lambda one: sign * one[best])["scale"]
    assert len(tried) == 4
    assert scale in (6.0, 15.0)


def test_without_an_error_all_steps_are_within(few):
    actions, states = tensors(few.part(few.held_out))
    found = errors_of(actions, actions, states, reference_of(few), "tool")
    assert found["error"] == 0.0
    assert all(v == 1.0 for key, v in found.items() if "within" in key and "0.001" not in key)
    assert (found["changes_kept"], found["gripper_wrong"]) == (1.0, 0.0)


def test_errors_are_in_metres_and_radians(few):
    actions, states = tensors(few.part(few.held_out))
    back = actions.clone()
    back[:, :10, 0] += 0.02
    turn = torch.tensor(0.05)
    around_z = torch.eye(3)
    around_z[:2, :2] = torch.tensor([[turn.cos(), -turn.sin()], [turn.sin(), turn.cos()]])
    back[:, :5, 3:6] = actions[:, :5, 3:6] @ around_z.T
    back[:, :5, 6:9] = actions[:, :5, 6:9] @ around_z.T
    back[..., 9] = 0.0
    found = errors_of(actions, back, states, reference_of(few), "tool")
    assert found["position_error_m"] == pytest.approx(0.01, abs=1e-6)
    assert found["rotation_error_rad"] == pytest.approx(0.05 / 4, abs=1e-4)
    assert [found[f"position_within_{most}"] for most in ("0.01", "0.03")] == [0.5, 1.0]
    assert [found[f"rotation_within_{most}"] for most in ("0.03", "0.1")] == [0.75, 1.0]
    assert found["changes_kept"] == 0.0
    assert found["gripper_wrong"] == pytest.approx(float(actions[..., 9].mean()))


def test_joints_have_angles_and_other_numbers_neither(few):
    actions = torch.randn(20, 16, 4)
    back = actions + torch.tensor([0.02, -0.05, 0.0, 0.3])
    reference = reference_of(few)
    reference = type(reference)(4, False, 0.01)
    reference.fit(actions, actions[:, 0])
    joints = errors_of(actions, back, actions[:, 0], reference, "joints")
    assert joints["rotation_error_rad"] == pytest.approx(0.05, abs=1e-5)
    assert joints["position_within_0.1"] is None
    free = errors_of(actions, back, actions[:, 0], reference, "free")
    assert free["rotation_within_0.1"] is free["position_within_0.1"] is None
    assert free["sum_within_0.1"] is not None


def test_all_tokenizers_are_measured_once_and_reported(tmp_path, monkeypatch, capsys):
    few = synthetic_windows(0, 12, 40)
    monkeypatch.setattr(chunks_module, "synthetic_windows", lambda seed: few)
    monkeypatch.setattr("bench.tokenizers.contenders.SCALES", (4.0, 8.0))
    which = Which(tmp_path / "out")
    measure_all(which, 2, 1)
    rows = rows_in(which.out)
    assert {row["tokenizer"] for row in rows} == set(NAMES)
    of = {row["tokenizer"]: row for row in rows}
    assert (of["faster"]["tokens_mean"], of["faster"]["steps"]) == (21.0, 2)
    assert of["fast-cut-error"]["tokens_most"] == of["fast-cut-share"]["tokens_most"] == 21.0
    assert of["binning"]["tokens_mean"] == 140.0
    assert of["carp"]["tokens_mean"] == 80.0
    assert of["binning"]["error"] < 0.01
    assert all(0.0 < row["codes_used"] <= 1.0 for row in rows)
    capsys.readouterr()
    measure_all(which, 2, 1)
    assert capsys.readouterr().out.count("is measured") == len(NAMES)
    with pytest.raises(ValueError, match="was measured with 2 steps and preset tiny; expected 3"):
        measure_all(which, 3, 1)
    time_all(which, 0.0)
    readme = tmp_path / "README.md"
    readme.write_text("<!-- tables: begin -->\n<!-- tables: end -->\n")
    results, plot = tmp_path / "results.json", tmp_path / "results.png"
    text = report(which.out, results, readme, plot)
    assert text in readme.read_text()
    assert plot.read_bytes().startswith(b"\x89PNG")
    content = json.loads(results.read_text())
    assert len(content["rows"]) == len(NAMES)
    assert {"encode_us_1", "decode_us_256"} <= content["rows"][0].keys()
    # what is no longer here stays in the report
    assert report(tmp_path / "nothing", results, readme, plot) == text


def test_a_table_says_means_over_seeds_and_leaves_out_what_there_is_not():
    row = {"data": "one", "tokenizer": "binning", "bits": 100.0, "codes_used": 1.0}
    row |= {f"tokens_{key}": 10.0 for key in ("mean", "p95", "most")}
    rows = [row | {"seed": seed, "error": 0.1 * seed} for seed in (1, 2)]
    text = tables({"rows": rows, "date": "2026-01-02"})
    assert "| one | 256 bins | 0.1500 (0.1000 to 0.2000) | 10.0 / 10.0 / 10.0 | 100 |" in text
    assert "seeds 1, 2" in text
    assert "- / - / - / -" in text


def test_nothing_measured_is_no_report(tmp_path):
    with pytest.raises(ValueError, match=r"no tokenizer is measured in .*; expected some"):
        report(tmp_path, tmp_path / "a.json", tmp_path / "README.md", tmp_path / "a.png")


def test_it_explains_itself():
    command = [sys.executable, "-m", "bench.tokenizers", "measure", "--help"]
    told = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert "--seeds" in told.stdout
