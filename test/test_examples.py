"""Each script in examples/ runs as its first lines say."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, *arguments, timeout_s=240):
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def test_a_policy_of_ones_own_goes_where_it_says():
    done = run("own_policy.py")
    assert done.returncode == 0, done.stderr
    assert "refused: 0 plans" in done.stdout


def test_a_bundle_does_its_task_from_python():
    done = run("run_bundle.py", "carp_bowl_sim", "bowl", "--seed", 3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 3: done" in done.stdout


def test_episodes_become_a_dataset_and_a_picture(tmp_path):
    record = [sys.executable, "-m", "carp_ros.cli.main", "record", "--out", tmp_path / "episodes"]
    record += ["--episodes", "2", "--agent", "demonstrator", "--lockstep"]
    recorded = subprocess.run(record, capture_output=True, text=True, timeout=240, check=False)
    assert recorded.returncode == 0, recorded.stderr
    picture = tmp_path / "paths.png"
    done = run(
        "plot_dataset.py", tmp_path / "episodes", "--out", tmp_path / "set", "--picture", picture
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_says_what_it_does(path):
    done = run(path.name, "--help", timeout_s=60)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
