"""Tests for cli/options.py: every option has a range, and what is outside is refused."""

import importlib
import re
import subprocess
import sys
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.cli import main as cli
from carp_ros.cli.demo import DemoCommand
from carp_ros.cli.eval import EvalCommand
from carp_ros.cli.options import ZeroOr, refusal_of

from ..neighbours import unruled


def commands() -> dict[str, Any]:
    """Return the class of every verb's, and sub-verb's, options."""
    found = {}
    for verb in cli.VERBS:
        module = importlib.import_module(f"carp_ros.cli.{verb.replace('-', '_')}")
        command = getattr(module, f"{verb.title().replace('-', '')}Command")
        for kind in [get_args(kind)[0] for kind in get_args(command)] or [command]:
            found[kind.__name__] = kind
    return found


@pytest.mark.parametrize("kind", commands().values(), ids=commands())
def test_every_number_and_every_text_of_a_verb_has_a_rule(kind):
    assert unruled(kind) == []


CASES = [
    ("demo", "--trials", "0", "1 to 1000000"),
    ("demo", "--seed-start", "-1", "0 to 2147483647"),
    ("demo", "--timeout-s", "nan", "0.1 to 86400"),
    ("demo", "--timeout-s", "inf", "0.1 to 86400"),
    ("eval", "--trials", "1000000000000", "1 to 1000000"),
    ("eval", "--workers", "-1", "0 to 1024"),
    ("eval", "--replan-s", "0", "0.01 to 60"),
    ("eval", "--latency-s", "-0.1", "0 to 10"),
    ("record", "--episodes", "0", "1 to 1000000"),
    ("record", "--camera-rate-hz", "0.5", "0, or 1 to 240"),
    ("record", "--operator", "a\nb", "one line"),
    ("convert", "--rate-hz", "0", "1 to 240"),
    ("convert", "--skew-s", "nan", "0 to 1"),
    ("train", "--epochs", "-1", "0, or 1 to 100000"),
    ("train", "--learning-rate", "2", "0, or 1e-09 to 1"),
    ("bench", "--seconds", "0", "0.1 to 86400"),
    ("bench", "--chunks", "-5", "1 to 1000000"),
    ("calibrate", "--square-m", "30", "0.004 to 0.5"),
    ("compile", "--capabilities", "8.6; x", "compute capabilities, as 8.6"),
    ("up", "--task", "a\x1bb", "one line"),
]
NEEDED = {
    "convert": ["x", "--out", "y"],
    "train": ["policy", "x", "--tokenizer", "y", "--out", "z"],
    "calibrate": ["board", "--out", "x.pdf"],
    "compile": ["x"],
}


@pytest.mark.parametrize(("verb", "option", "value", "expected"), CASES)
def test_a_value_outside_is_refused_in_one_line_before_anything_is_done(
    verb, option, value, expected, capsys
):
    code = cli.run([verb, *NEEDED.get(verb, []), f"{option}={value}"])

    said = capsys.readouterr().err
    assert code == cli.EXIT_USAGE
    assert re.fullmatch(rf"carp {verb}: {option} is .*; expected .*{re.escape(expected)}.*\n", said)
    assert said.count("\n") == 1


@given(
    trials=st.integers(1, 1_000_000),
    seed=st.integers(0, 2**31 - 1),
    replan_s=st.none() | st.floats(0.01, 60.0),
)
def test_what_is_inside_is_taken(trials, seed, replan_s):
    command = EvalCommand(trials=trials, seed_start=seed, replan_s=replan_s)
    assert refusal_of(command) == ""


@given(value=st.integers(max_value=0) | st.integers(min_value=1_000_001))
def test_no_count_outside_is_taken(value):
    assert "--trials is" in refusal_of(DemoCommand(trials=value))


@given(value=st.floats(max_value=0.0999) | st.floats(min_value=86_400.1) | st.just(float("nan")))
def test_no_time_outside_is_taken(value):
    assert "--timeout-s is" in refusal_of(EvalCommand(timeout_s=value))


def test_zero_may_stand_for_a_default_where_a_range_begins_above():
    rule = ZeroOr(1.0, 2.0)
    assert [rule.expectation(v) for v in (0, 0.0, 1.0, 2.0)] == [""] * 4
    assert all(rule.expectation(v) == "0, or 1 to 2" for v in (-1, 0.5, 2.1, float("nan")))


def test_the_command_line_ends_with_the_code_of_a_wrong_call():
    command = [sys.executable, "-m", "carp_ros.cli.main", "eval", "--trials=0"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "carp eval: --trials is 0; expected 1 to 1000000\n"
