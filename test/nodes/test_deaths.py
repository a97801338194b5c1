"""A process of the running system dies in motion: the arm stands, and nobody else has to die."""

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from std_msgs.msg import Bool

from carp_ros.clients.recorder_client import RecorderClient
from carp_ros.clients.trial_node import TrialNode, trial_node
from carp_ros.errors import DeviceError
from carp_ros.processes.mailbox import SHARED_FOLDER
from carp_ros.recording.bag import read_info
from carp_ros.recording.recover import Recovery, recover
from carp_ros.rig import load_rig
from carp_ros.ros.qos import COMMAND
from carp_ros.sim.live_cell import LiveCell
from carp_ros.sim.tasks import task_named
from carp_ros.system.bringup import describe
from carp_ros.system.running_system import RunningSystem

from ..patience import await_true
from .conftest import Trace

pytestmark = pytest.mark.realtime

SEED = int(os.environ.get("CARP_TEST_SEED", "0"))
STILL_S = 2.0
_BRAKING_S = 0.6  # a silence of the control node for 0.2 s, then from full speed


class Station:
    """A running system, who conducts it, and the truth about its arm."""

    def __init__(self, system: RunningSystem, node: TrialNode, rig_path: Path) -> None:
        self.system, self.node = system, node
        self.rig = load_rig(rig_path)
        self.trace = Trace()
        self.lines: list[str] = []
        self.heard_s = 0.0  # the operator's hand
        node.create_subscription(Bool, "teleop/deadman", self._on_deadman, COMMAND)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._observe, daemon=True)
        self._thread.start()

    def _on_deadman(self, msg: Bool) -> None:
        self.heard_s = time.monotonic()

    def await_hand(self) -> None:
        """Wait for the heartbeat of an operator's hand that is there from now on."""
        now_s = time.monotonic()
        await_true(lambda: self.heard_s > now_s + 0.1, 40.0, "the operator's hand")

    def begin(self) -> None:
        """Let the scripted operator move the arm, and return once it does."""
        node = self.node
        self.await_hand()
        for _ in range(4):  # a busy machine may be late for the robot, which stops
            with contextlib.suppress(DeviceError, AssertionError):
                node.prepare()
                node.go_home()
                node.trigger("control/select_teleop")
                node.switch("control/enable", True)
                node.set_parameters_of("cell_node", seed=3)
                node.trigger("cell/scatter")
                await_true(lambda: self.trace.speed() > 0.05, 8.0, "motion")
                return
        raise AssertionError(f"no motion: {node.status}")

    def assert_stands(self, mark: int, *, is_told: bool = True) -> None:
        """The arm came to rest within its limits and box, and is said to be enabled no more."""
        if is_told:  # first: an operator's arm rests between two motions, too
            await_true(lambda: not self.node.enabled, 4.0, "not enabled")
        time.sleep(_BRAKING_S)
        await_true(lambda: self.trace.speed(26) < 1e-3, STILL_S, "the arm at standstill")
        seen = self.trace.since(mark)
        limits = self.rig.limits
        assert np.sort(seen.speeds())[-3:].min() < limits.max_linear_speed_m_s * 1.1
        assert (seen.positions > np.array(limits.workspace_min_m) - 0.003).all()
        assert (seen.positions < np.array(limits.workspace_max_m) + 0.003).all()

    def close(self) -> None:
        self._ending.set()
        self._thread.join(2.0)

    def _observe(self) -> None:
        live = LiveCell(self.rig, task_named("cup"), visuals=False)
        seen_ns = -1
        while not self._ending.wait(0.004):
            try:
                cell = live.update()
            except DeviceError:
                return  # the robot is gone
            if cell.time_ns > seen_ns:
                seen_ns = cell.time_ns
                self.trace.samples.append((seen_ns * 1e-9, cell.tcp_pose.position))


@contextlib.contextmanager
def running(rig_path: Path, folder: Path, monkeypatch) -> Iterator[Station]:
    lines: list[str] = []

    def log(name: str, line: str) -> None:
        lines.append(f"{name}: {line}")
        sys.stdout.write(f"{lines[-1]}\n")

    nodes = describe(str(rig_path), "demonstrate", record=True, folder=str(folder))
    with RunningSystem(nodes, log) as system:
        monkeypatch.setenv("CARP_CELL_ADDRESS", system.environment["CARP_CELL_ADDRESS"])
        system.wait_until_ready(90.0)
        with trial_node(load_rig(rig_path)) as node:
            station = Station(system, node, rig_path)
            station.lines = lines
            try:
                yield station
            finally:
                station.close()


def assert_kept(folder: Path) -> None:
    """The episode of a recorder that died is whole, once recovered."""
    outcomes: list[Recovery] = []

    def is_whole() -> bool:
        with contextlib.suppress(ValueError):  # its first second is not on disk yet
            outcomes.append(recover(folder))
        return bool(outcomes) and outcomes[-1].outcome in ("whole", "recovered")

    await_true(is_whole, 10.0, "an episode")
    assert read_info(folder).task == "cup"


def children_of(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def assert_nothing_is_left(pids: list[int]) -> None:
    await_true(lambda: not any(is_running(pid) for pid in pids), 10.0, f"the end of {pids}")
    assert not [path for path in SHARED_FOLDER.glob("carp_*") if path.name != "carp_test"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_who_the_arm_can_do_without_is_started_again(rig_path, tmp_path, monkeypatch, number):
    moments = random.Random(SEED + number)
    with running(rig_path, tmp_path / "episodes", monkeypatch) as station:
        recorder = RecorderClient(station.node)
        recorder.wait_until_there()
        everybody: set[int] = set()
        for name in ("recorder_node", "teleop_node", "supervisor_node"):
            before = station.system.pids
            everybody |= set(before.values())
            everybody |= {child for pid in before.values() for child in children_of(pid)}
            station.begin()
            folder = Path(recorder.start()) if name == "recorder_node" else None
            time.sleep(moments.uniform(1.2, 2.5))  # an episode has something to keep
            mark = len(station.trace.samples)
            os.kill(before[name], number)
            station.assert_stands(mark)
            rest = len(station.trace.samples)
            system = station.system
            await_true(lambda: system.pids.get(name, before[name]) != before[name], 5.0, "a life")  # noqa: B023
            kept = {n: pid for n, pid in before.items() if n != name}
            assert {n: pid for n, pid in system.pids.items() if n != name} == kept
            assert system.first_exit() is None
            if folder is not None:
                assert_kept(folder)
                recorder.forget()
                recorder.wait_until_there(20.0)
            station.await_hand()
            time.sleep(2.0)  # nobody enabled
            assert station.trace.since(rest).largest_excursion() < 1e-3
            assert not station.node.enabled
            assert any(
                f"{name} was ended" in line or f"{name} ended" in line for line in station.lines
            )
        station.begin()  # all of them are at work again
    assert_nothing_is_left(sorted(everybody))


@pytest.mark.parametrize("victim", ["control_node", "servo", "cell_node"])
def test_who_the_arm_needs_takes_the_system_along(rig_path, tmp_path, monkeypatch, victim):
    with running(rig_path, tmp_path / "episodes", monkeypatch) as station:
        pids = station.system.pids
        servo = children_of(pids["control_node"])[0]
        everybody = [*pids.values(), *(c for pid in pids.values() for c in children_of(pid))]
        station.begin()
        mark = len(station.trace.samples)
        os.kill(servo if victim == "servo" else pids[victim], signal.SIGKILL)
        if victim != "cell_node":  # with it ends what is observed
            station.assert_stands(mark, is_told=victim != "control_node")
        if victim == "servo":  # the control node starts another
            assert station.system.first_exit() is None
            assert station.system.pids == pids
        else:
            ended = station.system.wait()
            assert str(ended) == f"{victim} was ended by SIGKILL"
    assert_nothing_is_left(everybody)
