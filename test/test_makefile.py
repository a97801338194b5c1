"""The Makefile, with stand-ins for pip, the package and its setup.py: where it runs, beside what.

A whole checkout is small here, so that each test installs in the time that a virtual environment
takes: the stand-ins write down how they were called.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parent.parent / "Makefile"
# The interpreter that this one's environment is of; it makes environments without pip, in a moment.
PYTHON = f"""#!/bin/sh
python={sys.base_prefix}/bin/python3
if [ "$2" = venv ]; then exec "$python" -m venv --without-pip "$3"; fi
exec "$python" "$@"
"""

# Put into site-packages by the stand-in for pip, as the real one does.
PACKAGES = ("carp_ros", "rclpy")
PIP = f"""
import json, os, pathlib, sys, sysconfig
with open("pip.log", "a", encoding="utf-8") as log:
    log.write(json.dumps({{"arguments": sys.argv[1:], "environment": dict(os.environ)}}) + "\\n")
if os.path.exists("pip_fails"):
    sys.exit("interrupted")
for name in {PACKAGES}:
    if not os.path.exists("pip_installs_elsewhere"):
        pathlib.Path(sysconfig.get_path("purelib"), name).mkdir(exist_ok=True)
        pathlib.Path(sysconfig.get_path("purelib"), name, "__init__.py").touch()
"""
CARP = """
import json, os, sys
print("carp", json.dumps([sys.prefix, sys.argv[1:]]))
"""
SETUP = """
import pathlib, sys
pathlib.Path(sys.argv[-1], "setup_was_here").touch()
"""

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] not in ((3, 11), (3, 12)) or shutil.which("make") is None,
    reason="needs make, and a Python that the Makefile takes",
)


def checkout(folder: Path) -> Path:
    files = {
        "Makefile": MAKEFILE.read_text(encoding="utf-8"),
        "setup.py": SETUP,
        "pip.py": PIP,
        "carp_ros/__init__.py": "",
        "carp_ros/cli/__init__.py": "",
        "carp_ros/cli/main.py": CARP,
        **dict.fromkeys(("setup.cfg", "package.xml", "constraints.txt"), ""),
    }
    files["python3"] = PYTHON
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "python3").chmod(0o755)
    return folder


def make(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", "demo", "PYTHON=./python3", "ARGS=--help"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_runs(folder: Path, **environment: str) -> str:
    """Make the demo, and see that it ran with the environment of this checkout."""
    made = make(folder, **environment)
    assert made.returncode == 0, made.stderr
    said = made.stdout.partition("\ncarp ")[2] or made.stdout.partition("carp ")[2]
    prefix, arguments = json.loads(said)
    assert Path(prefix) == folder / ".venv"
    assert arguments == ["demo", "--help"]
    assert (folder / ".venv" / "setup_was_here").exists()
    return made.stdout


def pip_calls(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "pip.log").read_text().splitlines()]


@pytest.mark.parametrize(
    "name",
    [
        "my arm",
        "it's",
        'say "hi"',
        "$HOME sweet",
        "a#b",
        "50% off",
        "(a) & b; c",
        "ünï 臂",
        "a\\b *",
    ],
)
def test_a_checkout_may_lie_below_any_folder(name, tmp_path):
    folder = checkout(tmp_path / name / "carp_ros")
    assert_runs(folder)


def test_what_is_installed_is_not_installed_again(tmp_path):
    folder = checkout(tmp_path / "a")
    assert_runs(folder)
    assert "setup:" not in assert_runs(folder)
    assert len(pip_calls(folder)) == 1


def test_a_checkout_reached_through_a_link_is_the_same(tmp_path):
    folder = checkout(tmp_path / "a")
    (tmp_path / "link").symlink_to(folder)
    assert make(tmp_path / "link").returncode == 0
    assert_runs(folder)
    assert len(pip_calls(folder)) == 1


def test_a_checkout_that_was_moved_has_its_environment_made_anew(tmp_path):
    folder = checkout(tmp_path / "a")
    assert_runs(folder)
    moved = folder.rename(tmp_path / "b")
    assert "making it anew" in assert_runs(moved)
    assert "setup:" not in assert_runs(moved)


def test_a_copy_beside_its_original_does_not_run_with_that_ones_environment(tmp_path):
    folder = checkout(tmp_path / "a")
    assert_runs(folder)
    copy = shutil.copytree(folder, tmp_path / "b", symlinks=True)
    assert "making it anew" in assert_runs(copy)


@pytest.mark.parametrize("lost", ["python-{0}.{1}", "bin/python", "bin/python3", "pyvenv.cfg"])
def test_an_environment_that_is_not_whole_is_made_anew(lost, tmp_path):
    folder = checkout(tmp_path / "a")
    assert_runs(folder)
    (folder / ".venv" / lost.format(*sys.version_info)).unlink()
    assert "making it anew" in assert_runs(folder)


def test_after_an_interrupted_installation_the_next_make_goes_on(tmp_path):
    folder = checkout(tmp_path / "a")
    (folder / "pip_fails").touch()
    assert make(folder).returncode != 0
    (folder / "pip_fails").unlink()
    assert "making it anew" not in assert_runs(folder)


def test_settings_of_pip_and_python_that_break_an_installation_stay_outside(tmp_path):
    folder = checkout(tmp_path / "a")
    sources = {"PIP_INDEX_URL": "https://mirror/simple", "PIP_CERT": "/etc/ssl/mine.crt"}
    breaking = {
        "PIP_TARGET": "/x",
        "PIP_USER": "1",
        "PIP_PREFIX": "/x",
        "PIP_NO_DEPS": "1",
        "PIP_DRY_RUN": "1",
        "PIP_REQUIRE_HASHES": "1",
        "PIP_ONLY_BINARY": ":all:",
        "PYTHONHOME": "/nowhere",
        "PYTHONPATH": "/x",
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2",
        "PYTHONSAFEPATH": "1",
        "PYTHONINSPECT": "1",
        "VIRTUAL_ENV": "/other",
        "CONDA_PREFIX": "/other",
        "AMENT_PREFIX_PATH": "/opt/ros/jazzy",
    }
    assert_runs(folder, **sources, **breaking)
    (call,) = pip_calls(folder)
    assert sources.items() <= call["environment"].items()
    assert not breaking.keys() & call["environment"].keys()
    assert call["environment"]["PYTHONUTF8"] == "1"
    assert "--no-user" in call["arguments"]


def test_packages_that_pip_put_elsewhere_are_noticed(tmp_path):
    folder = checkout(tmp_path / "a")
    (folder / "pip_installs_elsewhere").touch()
    made = make(folder)
    assert made.returncode != 0
    assert "pip put the packages elsewhere" in made.stderr


@pytest.mark.parametrize(
    "variables", [{"LC_ALL": "C"}, {"LC_ALL": "tr_TR.UTF-8"}, {"TMPDIR": "/x"}]
)
def test_locale_and_temporary_folder_do_not_matter(variables, tmp_path):
    assert_runs(checkout(tmp_path / "ünï"), **variables)
