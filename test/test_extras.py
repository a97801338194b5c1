"""A test that needs an optional part of the package says so where that is absent."""

import subprocess
import sys
from pathlib import Path

WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import pytest
sys.exit(pytest.main(["-q", "-rs", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def run_without(absent: set[str], *tests: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(absent=absent), *tests],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_without_the_extra_for_training_its_tests_are_skipped_and_say_what_to_install():
    needing = ["test/policies/test_load.py", "test/training/test_optimizer.py"]
    run = run_without({"onnx", "torch", "safetensors"}, "test/test_share.py", *needing)
    assert run.returncode == 0, run.stdout
    assert "2 skipped" in run.stdout
    assert "pip install 'carp_ros[train]'" in run.stdout


def test_a_module_that_no_extra_brings_is_an_error_as_ever():
    run = run_without({"yaml"}, "test/test_rig.py")
    assert run.returncode != 0
    assert "No module named 'yaml'" in run.stdout + run.stderr
