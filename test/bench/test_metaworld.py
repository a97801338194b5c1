"""The benchmark on Meta-World, without Meta-World."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.metaworld.demonstrations import (
    TASKS,
    Demonstrations,
    equal_layouts,
    read_demonstrations,
    windows_of,
    write_demonstrations,
)
from bench.metaworld.jobs import ALL, METHODS, SEEDS, SUBJECTS, Job, jobs_of, run_processes
from bench.metaworld.report import collect, summary_of, tables
from carp_ros.evaluation.report import write_report

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


def test_windows_are_all_that_lie_whole_in_an_episode(shown):
    windows = windows_of(shown, TASKS[:1], HORIZON)
    begins = [0, 1, 2, 18, 19, 20, 21, 22]
    assert windows.actions[:, 0, 0].tolist() == begins
    assert (np.diff(windows.actions[..., 0]) == 1).all()
    np.testing.assert_array_equal(windows.states, shown.states[begins])


def test_windows_count_tasks_as_they_were_asked_for(shown):
    windows = windows_of(shown, (TASKS[3], TASKS[1]), HORIZON)
    assert windows.tasks.tolist() == [0, 0, 0, 0, 1, 1]
    assert windows.actions[4, 0, 0] == shown.lengths[:2].sum()


def test_a_task_without_demonstrations_is_refused(shown):
    none = dataclasses.replace(shown, tasks=np.minimum(shown.tasks, 2))
    with pytest.raises(ValueError, match="no demonstration of stick-pull-v3"):
        windows_of(none, TASKS, HORIZON)


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


def test_training_needs_no_physics_and_no_codecs():
    names = ("metaworld", "mujoco", "gymnasium", "av", "cv2", "yaml", "matplotlib", "rclpy")
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in names)
    code = f"import sys; {blocked}import bench.metaworld.__main__, bench.metaworld.train"
    pytest.importorskip("torch")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize("steps", [1, 3, 7, 12])
def test_every_window_of_every_task_is_in_every_epoch(shown, steps):
    pytest.importorskip("torch")
    from bench.metaworld.learning import Table

    data = windows_of(shown, TASKS, HORIZON)
    table = Table(data, steps, batch=4)
    assert table.steps_an_epoch >= steps
    assert len(table.windows) == 4 * table.steps_an_epoch
    counts = np.bincount(table.windows, minlength=len(data))
    assert counts.min() >= 1
    assert np.ptp(counts) <= 1


@pytest.mark.parametrize("subject", [TASKS[0], ALL])
@pytest.mark.parametrize("method", METHODS)
def test_a_network_is_trained_once_and_plans(tmp_path, shown, capsys, method, subject):
    pytest.importorskip("torch")
    from bench.metaworld.recipe import Recipe
    from bench.metaworld.train import Planner, train_job

    recipe = Recipe(width=16, depth=1, batch=4, tokenizer_steps=2, steps=2, steps_an_epoch=1)
    path = tmp_path / "demonstrations.npz"
    write_demonstrations(path, shown)
    job = Job(method, subject, 1)
    with pytest.raises(ValueError, match="train it first"):
        Planner(job, tmp_path)
    train_job(job, tmp_path, path, recipe)
    planner = Planner(job, tmp_path)
    assert planner(shown.states[0], 0).shape == (HORIZON, 4)
    assert planner.facts["windows"] == (8 if subject == TASKS[0] else 8 + 2 + 1 + 4)
    assert planner.recipe.steps == (2 if subject == TASKS[0] else 4)
    content = collect([job, Job(method, subject, 2)], tmp_path, shown)
    assert [row["seed"] for row in content["trainings"]] == [1]
    assert [row["width"] for row in content["recipes"]] == [16]
    capsys.readouterr()
    train_job(job, tmp_path, path, recipe)
    assert capsys.readouterr().out == f"{job.name}: is trained\n"
    with pytest.raises(ValueError, match=r"recipe\.width = 16, asked for is 8"):
        train_job(job, tmp_path, path, dataclasses.replace(recipe, width=8))
