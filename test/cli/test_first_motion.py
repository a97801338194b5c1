"""Tests for cli/first_motion.py: a person at a terminal, and none."""

import os
import pty
import sys
import time

import pytest

from carp_ros.cli import first_motion, outputs
from carp_ros.cli.first_motion import FirstMotionCommand, TerminalPerson, main


@pytest.fixture
def terminal(monkeypatch):
    """Give the process a terminal for its input; yield the end that a person types at."""
    typed, read = pty.openpty()
    with os.fdopen(read, encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield typed
    os.close(typed)


def typed_during(question, terminal, text):
    """Answer a question once it was asked."""

    class Prompt:
        encoding = "utf-8"

        def write(self, words):
            if "Type yes" in words:
                os.write(terminal, text)

        def flush(self):
            pass

    before, sys.stdout = sys.stdout, Prompt()
    try:
        return TerminalPerson().confirm(question)
    finally:
        sys.stdout = before


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"yes\n", True),
        (b" YES \n", True),
        (b"y\n", False),
        (b"\n", False),
        (b"no\n", False),
        (b"yes please\n", False),
        (b"\x04", False),  # the end of the input
    ],
)
def test_only_a_whole_yes_is_a_yes(text, answer, terminal):
    assert typed_during("Move?", terminal, text) is answer


def test_what_was_typed_before_a_question_is_no_answer_to_it(terminal):
    os.write(terminal, b"yes\nyes\n")
    time.sleep(0.05)
    assert typed_during("Move?", terminal, b"\n") is False


def test_two_lines_are_two_answers(terminal):
    assert typed_during("Move?", terminal, b"yes\nno\n") is True
    assert typed_during("Again?", terminal, b"\n") is False


def test_enter_is_noticed_without_waiting(terminal):
    person = TerminalPerson()
    assert not person.has_pressed_enter()
    os.write(terminal, b"\n")
    time.sleep(0.05)
    assert person.has_pressed_enter()
    assert not person.has_pressed_enter()


def test_without_a_terminal_nothing_begins(monkeypatch):
    monkeypatch.setattr(first_motion, "RunningSystem", None)
    with pytest.raises(ValueError, match="no terminal"):
        main(FirstMotionCommand("ur5e_sim"))


def test_a_report_that_could_not_be_written_is_told_before_anything_starts(
    monkeypatch, tmp_path, terminal
):
    monkeypatch.setattr(first_motion, "RunningSystem", None)
    monkeypatch.setattr(first_motion, "enter", lambda: None)
    monkeypatch.setattr(sys, "stdout", sys.stdin)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(outputs.os, "access", lambda path, mode: False)
    with pytest.raises(ValueError, match="--report is first_motion_ur5e_sim"):
        main(FirstMotionCommand("ur5e_sim"))
