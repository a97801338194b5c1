"""`carp first-motion`: walks a person through an arm's very first motion, step by step."""

from __future__ import annotations

import dataclasses
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import tyro

from carp_ros.cli.options import Text
from carp_ros.cli.outputs import require_writable_outputs
from carp_ros.commissioning.step import Cell
from carp_ros.commissioning.walk import walk
from carp_ros.console.node_log import NodeLog
from carp_ros.control.kinematics import Kinematics
from carp_ros.files.whole_file import whole_file
from carp_ros.processes.ros_environment import enter
from carp_ros.reports.first_motion import FirstMotionReport, Outcome, StepReport
from carp_ros.reports.json_report import report_to_json
from carp_ros.rig import Rig, load_rig
from carp_ros.share import version
from carp_ros.system.bringup import READY_WITHIN_S, describe, rig_path
from carp_ros.system.running_system import RunningSystem


@dataclass(frozen=True)
class FirstMotionCommand:
    """Walk through an arm's very first motion: reads, then one centimetre, then each limit.

    Each step says what will happen and waits for a typed yes; anything else leaves it out. Ctrl-C
    stops the arm at any time. Everything goes through the same limits as teleoperation and
    policies; the pointer must be plugged in on a real rig. Keep a hand on the emergency stop.

    Attributes:
        rig: A rig's file, or the name of one in config/.
        running: The rig is running already (`carp up`): only send commands.
        report: JSON file for what was measured; empty: first_motion_<rig>_<time>.json here.
        verbose: Show the nodes' output.
    """

    rig: tyro.conf.Positional[Text]
    running: bool = False
    report: Path | None = None
    verbose: bool = False


def main(command: FirstMotionCommand) -> int:
    """Walk through the steps; return 0 if none failed."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ValueError(
            "there is no terminal to ask in; expected a person who types yes before each step:"
            " run it in a terminal, not from a script"
        )
    enter()
    rig = load_rig(rig_path(command.rig))
    begun = datetime.now(UTC)
    path = command.report or Path(f"first_motion_{rig.name}_{begun:%Y%m%d_%H%M%S}.json")
    require_writable_outputs(dataclasses.replace(command, report=path))  # before anything moves
    steps: list[StepReport] = []

    def done(step: StepReport) -> None:
        """Keep a step, on disk as well: the next one may end with a pulled cable."""
        steps.append(step)
        report = FirstMotionReport(
            rig.name,
            rig.file.sha256,
            rig.robot.name,
            begun.isoformat(timespec="seconds"),
            version(),
            tuple(steps),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as draft:
            draft.write_text(report_to_json(report) + "\n", encoding="utf-8")

    log = NodeLog(verbose=command.verbose)
    try:
        with _system(command, rig, log):
            from carp_ros.clients.first_motion_node import first_motion_node  # after `enter`

            with first_motion_node(rig) as node:
                kinematics = Kinematics(rig.robot, rig.tool.flange_from_tcp)
                walk(Cell(rig, node, TerminalPerson(), kinematics), done)
    except Exception:
        log.replay()
        raise
    finally:
        if steps:
            print(f"report: {path}")
    passed = sum(step.outcome is Outcome.PASSED for step in steps)
    print(f"{passed} steps passed, {_count(steps, Outcome.DECLINED)} declined")
    return int(_count(steps, Outcome.FAILED) > 0 or passed == 0)


class TerminalPerson:
    """The person at this terminal; a `commissioning.access.Person`."""

    def tell(self, text: str) -> None:
        """Print a text."""
        print(text, flush=True)

    def confirm(self, question: str) -> bool:
        """Ask; return whether the answer is yes, in full. The end of the input means no."""
        while self.has_pressed_enter():
            pass  # what was typed before the question is no answer to it
        print(f"{question} Type yes, or press Enter for no: ", end="", flush=True)
        return _line().strip().lower() == b"yes"

    def has_pressed_enter(self) -> bool:
        """Return whether a line was typed since the last question, or the input has ended."""
        if not select.select([sys.stdin], [], [], 0.0)[0]:
            return False
        return bool(_line())


@contextmanager
def _system(command: FirstMotionCommand, rig: Rig, log: NodeLog) -> Iterator[None]:
    """Run the rig's nodes during the block, unless they are running already."""
    if command.running:
        yield
        return
    nodes = describe(rig)
    print(f"bringing up {rig.name}: {', '.join(node.name for node in nodes)}", flush=True)
    with RunningSystem(nodes, log) as system:
        system.wait_until_ready(READY_WITHIN_S)
        yield


def _line() -> bytes:
    """Return the next line that was typed; empty at the end of the input.

    A terminal gives one line a call. Nothing is read ahead: what is read ahead would answer a later
    question.
    """
    return os.read(sys.stdin.fileno(), 1024)


def _count(steps: list[StepReport], outcome: Outcome) -> int:
    return sum(step.outcome is outcome for step in steps)
