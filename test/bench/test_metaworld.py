"""The benchmark on Meta-World, without Meta-World."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.metaworld.dataset import dataset_of
from bench.metaworld.demonstrations import (
    TASKS,
    Demonstrations,
    equal_layouts,
    read_demonstrations,
    write_demonstrations,
)
from bench.metaworld.jobs import ALL, METHODS, SEEDS, SUBJECTS, Job, jobs_of, run_processes
from bench.metaworld.planner import Planner
from bench.metaworld.report import collect, summary_of, tables
from bench.metaworld.train import commands_of, train_job
from carp_ros.evaluation.report import write_report
from carp_ros.recording.open_dataset import open_demonstrations

HORIZON = 16


@pytest.fixture
def shown() -> Demonstrations:
    rng = np.random.default_rng(0)
    lengths = np.array([18, 20, 17, 16, 19])
    frames = int(lengths.sum())
    return Demonstrations(
        rng.uniform(0.0, 1.0, (frames, 39)).astype(np.float32),
        np.arange(frames, dtype=np.float32)[:, None] * np.array([1, 1, 1, -1], np.float32),
        lengths,
        np.array([0, 0, 1, 2, 3]),
        rng.uniform(0.0, 1.0, (5, 6)),
        np.array([(0, n) for n in range(5)]),
        np.array([3, 1, 1, 1]),
    )


def test_a_dataset_has_the_frames_of_its_tasks_as_carp_train_reads_them(tmp_path, shown):
    data = open_demonstrations(dataset_of(tmp_path, shown, (TASKS[3], TASKS[1])))
    assert data.numbers.task_names == (TASKS[3], TASKS[1])
    assert data.numbers.episodes.tolist() == [0] * 19 + [1] * 17
    frames = np.r_[71:90, 38:55]
    assert (data.numbers.states == shown.states[frames]).all()
    assert (data.numbers.actions == shown.actions[frames]).all()
    assert (data.state.kind, len(data.state), data.action.names[3]) == (
        "free",
        39,
        "gripper_effort",
    )
    assert data.refused == ()


def test_a_task_without_demonstrations_is_refused(tmp_path, shown):
    none = dataclasses.replace(shown, tasks=np.minimum(shown.tasks, 2))
    with pytest.raises(ValueError, match="no demonstration of stick-pull-v3"):
        dataset_of(tmp_path, none, TASKS)


def test_demonstrations_come_back_as_they_were_written(tmp_path, shown):
    path = tmp_path / "demonstrations.npz"
    write_demonstrations(path, shown)
    back = read_demonstrations(path)
    assert back.digest == shown.digest
    for name, array in vars(shown).items():
        np.testing.assert_array_equal(getattr(back, name), array)


def test_only_layouts_equal_in_every_number_are_the_same(shown):
    others = shown.layouts + np.eye(6)[:5] * 1e-12
    assert equal_layouts(others, shown.layouts) == 0
    others[1] = shown.layouts[4]
    assert equal_layouts(others, shown.layouts) == 1


def test_every_network_has_a_folder_of_its_own(tmp_path):
    jobs = jobs_of(METHODS, SUBJECTS, SEEDS)
    assert len({job.folder(tmp_path) for job in jobs}) == len(jobs) == 30
    assert Job("carp", ALL, 0).tasks == TASKS
    assert Job("carp", TASKS[1], 0).tasks == (TASKS[1],)


def test_processes_that_fail_are_named(capsys, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert run_processes({"good": ["--help"], "bad": ["nonsense"]}, 2) == 1
    assert "1 of 2 failed: bad" in capsys.readouterr().err


def row(method: str, subject: str, seed: int, successes: int) -> dict:
    known = {"method": method, "subject": subject, "seed": seed, "task": TASKS[0]}
    return known | {"trials": 100, "successes": successes, "interval": [0.0, 1.0]}


def test_a_summary_takes_seeds_together_and_nothing_else():
    rows = [row("carp", TASKS[0], seed, 90 + seed) for seed in SEEDS] + [row("carp", ALL, 0, 50)]
    one, of_all = summary_of(rows)
    assert (one["successes"], one["trials"], one["of_seeds"]) == (273, 300, [90, 91, 92])
    assert one["interval"][0] < 0.91 < one["interval"][1]
    assert (of_all["subject"], of_all["trials"]) == (ALL, 100)


def test_tables_say_rates_intervals_and_costs_of_what_there_is(tmp_path, shown):
    content = collect([], tmp_path, shown)
    assert "| peg-insert-side-v3 |  |  |  |  |" in tables(content)
    content["rows"] = [row("carp", TASKS[0], seed, 90) for seed in SEEDS]
    content["summary"] = summary_of(content["rows"])
    job = {"method": "carp", "subject": TASKS[0], "seed": 0}
    facts = {"seconds": {"tokenizer": 60.0, "policy": 120.0}, "parameters": 330_000}
    content["trainings"] = [job | facts | {"device": "CPU, one thread"}]
    content["latency"] = {"rows": [job | {"p50_ms": 5.04, "p99_ms": 9.0}]}
    text = tables(content)
    assert "| peg-insert-side-v3 | 90.0 % (86 to 93); 90, 90, 90 |  |  |  |" in text
    assert "| CARP, one task | 0.33 M | 5.04 ms | 9.00 ms | 3.0 min | CPU, one thread |" in text
    assert "Training seeds 0, 1, 2" in text


def test_a_report_goes_on_from_an_earlier_one_of_the_same_demonstrations(tmp_path, shown):
    known = [row("carp", TASKS[0], seed, 90) for seed in (0, 1)]
    facts = {"recipe": {"width": 64}, "seconds": {"policy": 1.0}}
    earlier = collect([], tmp_path, shown) | {"rows": known, "recipes": [{"width": 32}]}
    folder = Job("carp", TASKS[0], 1).folder(tmp_path)
    write_report(folder / "trained.json", facts)
    found = {"layout_seeds": [1010], "successes": [True] * 80 + [False] * 20}
    evaluated = {"tasks": {TASKS[0]: found}, "versions": {}, "machine": {}}
    write_report(folder / "evaluated.json", evaluated)
    content = collect([Job("carp", TASKS[0], seed) for seed in SEEDS], tmp_path, shown, earlier)
    (summary,) = content["summary"]
    assert (summary["seeds"], summary["of_seeds"]) == ([0, 1], [90, 80])
    assert content["recipes"] == [{"width": 64}, {"width": 32}]
    other = earlier | {"demonstrations": {"digest": "of others"}}
    content = collect([Job("carp", TASKS[0], 1)], tmp_path, shown, other)
    assert [row["seed"] for row in content["rows"]] == [1]


def test_training_needs_no_physics():
    blocked = "".join(
        f"sys.modules[{name!r}] = None; " for name in ("metaworld", "mujoco", "gymnasium", "rclpy")
    )
    code = f"import sys; {blocked}import bench.metaworld.__main__, bench.metaworld.train"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_job_is_the_commands_that_a_user_types(tmp_path):
    tokens, policy = commands_of(Job("carp", ALL, 2), tmp_path, tmp_path / "set", 3).values()
    assert tokens[:3] == ["train", "tokenizer", str(tmp_path / "set")]
    assert policy[-2:] == ["--tokenizer", str(tmp_path / "tokenizer")]
    assert policy[5:11] == ["--preset", "state", "--seed", "2", "--epochs", "3"]
    (policy,) = commands_of(Job("regression", ALL, 2), tmp_path, tmp_path / "set", 0).values()
    assert policy[-4:] == ["--seed", "2", "--policy", "regression"]


def test_a_network_is_trained_once_and_plans(tmp_path, shown, capsys, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(Path(__file__).parents[2])
    path = tmp_path / "demonstrations.npz"
    two_of_each = dataclasses.replace(shown, tasks=np.array([0, 0, 0, 1, 1]))
    write_demonstrations(path, two_of_each)
    job = Job("regression", TASKS[0], 1)
    with pytest.raises(ValueError, match="train it first"):
        Planner(job, tmp_path)
    train_job(job, tmp_path, path, epochs=1)
    planner = Planner(job, tmp_path)
    planner.begin(TASKS[0])
    assert planner(shown.states[0]).shape == (HORIZON, 4)
    assert planner.facts["demonstrations"] == two_of_each.digest
    content = collect([job, Job("regression", TASKS[0], 2)], tmp_path, two_of_each)
    assert [row["seed"] for row in content["trainings"]] == [1]
    capsys.readouterr()
    train_job(job, tmp_path, path)
    assert capsys.readouterr().out == f"{job.name}: is trained\n"
