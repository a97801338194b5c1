import importlib.util
import os
import signal
import subprocess
import sys
from dataclasses import is_dataclass
from typing import get_args

import pytest

from carp_ros.cli import main as cli
from carp_ros.errors import DeviceError
from carp_ros.share import share_folder

CARP = [sys.executable, "-c", "from carp_ros.cli.main import main; main()"]


def carp(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a shell does."""
    return subprocess.run([*CARP, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("verb", cli.VERBS)
def test_a_verb_has_its_options_and_its_main(verb):
    name = f"carp_ros.cli.{verb.replace('-', '_')}"
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not written yet")
    module = importlib.import_module(name)
    command = getattr(module, f"{verb.title().replace('-', '')}Command")
    kinds = [get_args(kind)[0] for kind in get_args(command)] or [command]  # of sub-verbs each
    assert all(is_dataclass(kind) for kind in kinds)
    assert callable(module.main)


def test_help_names_every_verb_and_imports_nothing_heavy():
    heavy = "numpy tyro mujoco rclpy pinocchio torch onnxruntime"
    code = (
        "import sys; from carp_ros.cli.main import run; code = run(['--help']);"
        f"assert not set('{heavy}'.split()) & set(sys.modules), 'heavy'; sys.exit(code)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert all(f"  {verb} " in run.stdout for verb in cli.VERBS)


def test_the_version_is_that_of_the_package_manifest():
    assert f"<version>{cli.version()}</version>" in (share_folder() / "package.xml").read_text()


def test_an_unknown_verb_is_answered_with_those_that_exist(capsys):
    assert cli.run(["fly"]) == cli.EXIT_USAGE
    assert "no verb 'fly'; expected one of demo, up" in capsys.readouterr().err


def test_a_refusal_is_one_line_without_traceback():
    run = carp("up", "--rig", "nowhere")
    assert run.returncode == 1
    assert run.stderr.startswith("carp up: no rig file")
    assert run.stderr.count("\n") == 1


def test_a_device_that_is_missing_ends_a_verb_with_code_1(monkeypatch, capsys):
    def refuse(command: object) -> int:
        raise DeviceError("no arm at 127.0.0.2; switch it on")

    monkeypatch.setattr("carp_ros.cli.up.main", refuse)
    assert cli.run(["up"]) == 1
    assert capsys.readouterr().err == "carp up: no arm at 127.0.0.2; switch it on\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.json"), "a.json: No such file or"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (BrokenPipeError(32, "Broken pipe"), "Broken pipe"),  # the robot's, not our reader's
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "pip install 'carp_ros[tr"),
        (ModuleNotFoundError("No module named 'lerobot.x'", name="lerobot.x"), "install 'lerobot'"),
        (ValueError(""), "ValueError"),
    ],
)
def test_what_ends_a_verb_is_said_in_one_sentence(error, said, monkeypatch, capsys):
    def fail(command: object) -> int:
        raise error

    monkeypatch.setattr("carp_ros.cli.up.main", fail)
    assert cli.run(["up"]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("carp up: ")
    assert said in printed
    assert printed.count("\n") == 1


def test_a_module_of_our_own_that_is_missing_is_a_bug_with_its_traceback(monkeypatch):
    def fail(command: object) -> int:
        raise ModuleNotFoundError("No module named 'carp_ros.gone'", name="carp_ros.gone")

    monkeypatch.setattr("carp_ros.cli.up.main", fail)
    with pytest.raises(ModuleNotFoundError):
        cli.run(["up"])


def test_every_module_that_an_extra_brings_is_named_after_it():
    setup = (share_folder() / "setup.py").read_text(encoding="utf-8")
    assert all(f'"{extra}"' in setup for extra in cli.EXTRAS)


def test_a_reader_that_leaves_ends_a_verb_without_a_word():
    code = "from carp_ros.cli.main import main; main()"
    run = subprocess.run(
        f"{sys.executable} -c '{code}' record --help | true",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stderr == ""


def test_output_that_the_terminal_has_no_letters_for_does_not_end_a_verb(tmp_path):
    run = subprocess.run(
        [*CARP, "up", "--rig", "ünï"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 1
    assert run.stderr.startswith("carp up: no rig file")


def test_an_output_that_cannot_be_written_is_refused_before_the_work_begins(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").touch()
    monkeypatch.setattr("carp_ros.cli.demo.main", lambda command: pytest.fail("began to work"))
    assert cli.run(["demo", "--report", f"{tmp_path}/file/report.json"]) == 1
    assert f"--report is {tmp_path}/file/report.json, but" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_through_every_finally(number, tmp_path):
    left = tmp_path / "left"
    script = f"""
import pathlib, time
from carp_ros.cli import main as cli
def wait(arguments):
    try:
        print("up", flush=True)
        time.sleep(60)
    finally:
        pathlib.Path({str(left)!r}).touch()
cli.run = wait
cli.main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    assert process.wait(20.0) == 128 + number
    said = process.stderr.read() if process.stderr else ""
    assert said == ("carp: interrupted\n" if number == signal.SIGINT else "")
    assert left.exists()


def test_a_terminal_of_one_column_is_wrapped_as_a_wider_one():
    run = subprocess.run(
        [*CARP, "eval", "--help"],
        env={**os.environ, "COLUMNS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0
    assert run.stdout.count("\n") < 500


@pytest.mark.parametrize(
    ("closed", "printed"),
    [("<&-", "True\n"), (">&-", ""), ("2>&-", "True\n"), ("<&- >&- 2>&-", "")],
)
def test_a_standard_stream_that_is_closed_takes_no_file_and_ends_no_verb(closed, printed, tmp_path):
    code = (
        "from carp_ros.cli import main as cli;"
        f"cli.run = lambda _: print(open({str(tmp_path / 'f')!r}, 'w').fileno() > 2) or 3;"
        "cli.main()"
    )
    run = subprocess.run(
        f'{sys.executable} -c "{code}" {closed}',
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 3
    assert (run.stdout, run.stderr) == (printed, "")
