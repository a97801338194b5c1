import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'carp_ros[train]'")

from bench.ablations import training as ablations
from bench.ablations.evaluation import finished_runs
from bench.ablations.results import conditions, summary, table, with_earlier
from bench.ablations.training import Training, train_all, train_run
from bench.ablations.variants import VARIANTS, Name
from carp_ros.export.training_run import export_run
from carp_ros.inference.bundle import load_bundle
from carp_ros.networks.carp_tokenizer import CarpTokenizer

from .small_dataset import write_small_dataset

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def training(tmp_path):
    dataset = write_small_dataset(tmp_path / "cups")
    return Training(dataset, tmp_path / "runs", tmp_path / "images", 1, 1)


def run_of(variant: str, seed: int, error_m: float, successes: list[bool]) -> dict:
    errors = {"position_error_m": error_m, "rotation_error_rad": 0.02}
    return {
        "variant": variant,
        "seed": seed,
        "dataset": "cups",
        "episodes": {"trained": 180, "held_out": 20},
        "windows": {"trained": 18_000, "held_out": 2_000},
        "epochs": {"tokenizer": 30, "policy": 40},
        "tokens": 70,
        "parameters": {"tokenizer": 150_000, "policy": 900_000},
        "tokenizer": errors,
        "policy": errors,
        "seconds": {"tokenizer": 20.0, "policy": 100.0},
        "machine": {"device": "a GPU", "torch": "2.11"},
        "date": "2026-01-02",
        "trials": [
            {"seed": 20000 + i, "level": "normal", "success": s} for i, s in enumerate(successes)
        ],
    }


def test_every_name_is_a_variant():
    assert tuple(VARIANTS) == get_args(Name)


def test_a_joint_tokenizer_is_compared_at_equal_width_and_at_equal_weights():
    def sizes(name: Name) -> tuple[int, int]:
        tokenizer = CarpTokenizer(VARIANTS[name].tokenizer.network.vq)
        weights = sum(weight.numel() for weight in tokenizer.parameters())
        width = tokenizer.get_submodule("encoder.conv_in").out_channels
        return weights - tokenizer.quantizer.codebook.numel(), width

    (apart, width), (wide, wide_width), (slim, _) = map(sizes, ("preset", "joint", "joint-slim"))
    assert wide_width == width
    assert wide > 5 * apart
    assert slim == pytest.approx(apart, rel=0.1)


def test_training_needs_neither_simulation_nor_video_nor_bags():
    absent = {"av", "mujoco", "onnxruntime", "rclpy", "rosbags", "tyro", "matplotlib"}
    script = f"import sys, bench.ablations.training; print({absent!r} & sys.modules.keys())"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, timeout=60
    )
    assert run.stdout.strip() == "set()", run.stderr


def test_a_run_is_trained_once_and_makes_a_bundle(training, capsys):
    content = train_run(training, "joint", 1, quiet=True)
    assert (content["variant"], content["seed"], content["tokens"]) == ("joint", 1, 7)
    assert content["episodes"] == {"trained": 3, "held_out": 1}
    assert {"position_error_m", "rotation_error_rad"} <= content["policy"].keys()
    assert finished_runs(training.out, (), ()) == [json.loads(json.dumps(content))]
    assert train_all(training, [("joint", 1)], jobs=1)
    assert "1 of 1 runs are done already" in capsys.readouterr().out
    folder = training.folder("joint", 1)
    export_run(folder / "policy", folder / "bundle", {})
    assert load_bundle(folder / "bundle").section == {"scales": [1, 2, 4]}


def test_variants_are_validated_on_the_same_episodes(training, monkeypatch):
    seen = []
    split = ablations.split_episodes

    def split_and_look(*arguments):
        seen.append(split(*arguments))
        return seen[-1]

    monkeypatch.setattr(ablations, "split_episodes", split_and_look)
    train_run(training, "scales-4", 0, quiet=True)
    train_run(training, "joint-slim", 3, quiet=True)
    np.testing.assert_array_equal(seen[0][1], seen[1][1])


def test_nothing_that_is_trained_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"no finished run in .*; expected what `train --out"):
        finished_runs(tmp_path, (), ())


def test_runs_of_another_sitting_count_if_they_took_the_same_course():
    earlier = [run_of("preset", seed, 0.01, [True]) for seed in (0, 1)]
    here = [run_of("preset", 1, 0.02, [False]), run_of("joint", 0, 0.02, [False])]
    runs = with_earlier(here, earlier)
    assert [(run["variant"], run["seed"]) for run in runs[2:]] == [("preset", 0)]
    preset, _ = summary(runs)
    assert preset["seeds"] == [0, 1]
    assert preset["successes_by_seed"] == {0: 1, 1: 0}
    longer = {**earlier[0], "epochs": {"tokenizer": 30, "policy": 80}}
    assert with_earlier(here, [longer]) == here


def test_the_table_has_a_row_a_variant_over_all_its_seeds():
    runs = [
        run_of("preset", 0, 0.002, [True, True]),
        run_of("preset", 1, 0.004, [True, False]),
        run_of("joint", 0, 0.005, []),
    ]
    rows = summary(runs)
    assert [row["variant"] for row in rows] == ["preset", "joint"]
    assert rows[0]["successes_by_seed"] == {0: 2, 1: 1}
    text = table(rows)
    assert "3.00 (2.00 to 4.00) | 0.0200 (0.0200 to 0.0200) | 3 of 4 (30% to 95%) |" in text
    assert text.splitlines()[-1].endswith("| - |")
    told = conditions(runs, rows, "python -m bench.ablations evaluate runs")
    assert "180 episodes, 20 held out" in told
    assert "trials on seeds 20000 to 20001" in told
