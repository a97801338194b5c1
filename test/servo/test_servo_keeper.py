"""Tests for servo/servo_keeper.py: real processes that end, hang or tick, and a fake clock."""

import dataclasses
import os

import numpy as np
import pytest

from carp_ros.control.command import LATENESS_DTYPE, NOTE_DTYPE, ServoLink, ServoState
from carp_ros.control.servo import ServoMode
from carp_ros.reports.control import Fault
from carp_ros.rig import load_rig
from carp_ros.servo.servo_keeper import SERVO_PROGRAM, ServoKeeper
from carp_ros.share import share_folder
from carp_ros.types import Pose, SafetyState

RIG = load_rig(share_folder() / "config" / "ur5e_sim.yaml")
S = 1_000_000_000
MS = 1_000_000
START_NS = 100 * S
HERE = Pose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
STATE = ServoState(
    now_ns=START_NS,
    ticks=1,
    robot_time_s=0.0,
    joints=np.zeros(6),
    velocities=np.zeros(6),
    target_joints=np.zeros(6),
    tcp_pose=HERE,
    target_pose=HERE,
    gripper=0.0,
    mode=ServoMode.HOLD,
    moving=False,
    ready=True,
    busy=False,
    safety=SafetyState.NORMAL,
    fault=Fault.NONE,
    fault_text="",
    resets_done=0,
    chunk_stamp_ns=0,
    chunk_begun_ns=0,
    chunk_late_ns=0,
    chunks_accepted=0,
    chunks_refused=0,
    refusal="",
    priority=0,
)


class Bench:
    """A keeper of processes that run a shell script; the test writes what they would write."""

    def __init__(self, script):
        self.link = ServoLink(f"test_{os.getpid()}_keeper", create=True)
        self.keeper = self.keep(script)
        self.now_ns = START_NS

    def keep(self, script):
        return ServoKeeper(RIG, self.link, ("/bin/sh", "-c", script))

    def watch(self, after_ns=0):
        self.now_ns += after_ns
        return self.keeper.watch(self.now_ns)

    def wait_for_end(self):
        """Wait until the process has ended, and leave it for the keeper to find."""
        os.waitid(os.P_PID, self.keeper.pid, os.WEXITED | os.WNOWAIT)

    def write_state(self, **changes):
        state = dataclasses.replace(STATE, now_ns=self.now_ns, **changes)
        self.link.state.write(state.to_record())

    def write_note(self, text):
        note = np.zeros((), NOTE_DTYPE)
        note["text"] = text.encode()
        self.link.note.write(note)

    def close(self):
        self.keeper.stop(timeout_s=0.0)
        self.link.unlink()


@pytest.fixture
def bench_of():
    """Make benches of processes that run a shell script, and end them."""
    benches = []

    def bench_of(script):
        benches.append(Bench(script))
        return benches[-1]

    yield bench_of
    for bench in benches:
        bench.close()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


TICKING = "exec sleep 60"


def test_the_process_is_started_with_the_rig_and_the_link(bench_of, tmp_path):
    bench = bench_of(f'echo "$0 $@" > {tmp_path}/arguments')
    assert bench.keeper.pid is None
    assert bench.watch() == ""
    bench.wait_for_end()

    said = (tmp_path / "arguments").read_text()
    assert said == f"{' '.join(RIG.file.arguments)} --link {bench.link.name}\n"
    assert SERVO_PROGRAM[1:] == ("-m", "carp_ros.servo.servo_process")


def test_until_the_servo_ticks_what_is_awaited_is_told(bench_of):
    bench = bench_of(TICKING)
    bench.write_state(ticks=77)  # a process before this one
    bench.watch()
    bench.watch(MS)
    assert bench.keeper.state is None
    assert bench.keeper.waiting_for == ("the servo process to connect to the arm (no answer yet)")
    bench.write_note("the arm is off")
    bench.watch(MS)
    assert bench.keeper.waiting_for.endswith("(the arm is off)")

    bench.write_state(ticks=5)
    assert bench.watch(MS) == ""
    assert bench.keeper.state.ticks == 5
    assert bench.keeper.waiting_for == ""


def test_a_servo_that_never_ticked_is_no_loss_but_what_is_awaited_tells_why(bench_of):
    bench = bench_of("exit 3")
    bench.watch()
    bench.write_note("the arm refuses: not in remote control")
    bench.wait_for_end()

    assert bench.watch(MS) == ""
    assert bench.keeper.waiting_for == (
        "the servo process to connect to the arm (the arm refuses: not in remote control)"
    )
    assert bench.keeper.pid is None
    bench.watch(499 * MS)
    assert bench.keeper.pid is None
    bench.watch(MS)
    assert bench.keeper.pid is not None


@pytest.mark.parametrize(
    ("script", "note", "problem"),
    [
        ("exit 3", "the link broke", "the servo process ended: the link broke"),
        ("exit 7", "", "the servo process ended: exit code 7"),
        ("kill -SEGV $$", "", "the servo process died of SIGSEGV"),
    ],
)
def test_how_a_servo_that_ran_was_lost_is_told(bench_of, script, note, problem):
    bench = bench_of(script)
    bench.watch()
    bench.write_state()
    if note:
        bench.write_note(note)
    bench.wait_for_end()

    assert bench.watch() == f"{problem}; a new one is started"


def test_failures_in_a_row_are_tried_again_ever_more_slowly(bench_of):
    bench = bench_of("exit 3")
    for delay_s in (0.5, 1.0, 2.0, 5.0, 5.0):
        bench.watch()
        assert bench.keeper.pid is not None
        bench.wait_for_end()
        bench.watch()
        bench.watch(round(delay_s * S) - 1)
        assert bench.keeper.pid is None
        bench.now_ns += 1


def test_once_the_servo_ran_for_a_while_the_next_failure_is_tried_again_soon(bench_of):
    bench = bench_of("exit 3")
    for _ in range(2):
        bench.watch()
        bench.wait_for_end()
        bench.watch()
        bench.now_ns += S
    bench.watch()
    bench.now_ns += 6 * S
    bench.write_state()
    bench.wait_for_end()
    bench.watch()
    assert bench.keeper.state is None

    bench.watch(500 * MS)
    assert bench.keeper.pid is not None


@pytest.mark.parametrize(
    ("state", "limit_ns", "words"),
    [
        (None, 15 * S, ""),  # it never ran
        ({}, 500 * MS, "the servo process was silent for 0.5 s and was killed"),
        ({"busy": True}, 75 * S, "the servo process was silent for 75.0 s and was killed"),
    ],
    ids=["starting", "ticking", "recovering"],
)
def test_a_process_that_hangs_is_killed(bench_of, state, limit_ns, words):
    bench = bench_of(TICKING)
    bench.watch()
    pid = bench.keeper.pid
    if state is not None:
        bench.write_state(**state)
        bench.watch()
    assert bench.watch(limit_ns) == ""

    problem = bench.watch(1)

    assert problem == words
    assert not is_alive(pid)
    assert bench.keeper.state is None
    bench.watch(500 * MS)
    assert bench.keeper.pid not in (None, pid)


def test_the_newest_lateness_is_at_hand(bench_of):
    bench = bench_of(TICKING)
    assert bench.keeper.lateness() is None
    record = np.zeros((), LATENESS_DTYPE)
    record["skipped"] = 3
    bench.link.lateness.write(record)

    assert bench.keeper.lateness()["skipped"] == 3


def test_stopping_waits_for_a_process_that_leaves_and_kills_one_that_does_not(bench_of):
    leaving = bench_of("exit 0")
    leaving.watch()
    leaving.keeper.stop(timeout_s=10.0)
    assert leaving.keeper.pid is None
    leaving.keeper.stop(timeout_s=0.0)  # twice is as good as once

    hanging = bench_of("exec sleep 60")
    hanging.watch()
    pid = hanging.keeper.pid
    hanging.keeper.stop(timeout_s=0.02)
    assert hanging.keeper.pid is None
    assert not is_alive(pid)
