"""Every test, and every process that a test starts, runs in the package's ROS environment.

Tests of several parts share one simulated controller of each arm a test process.
"""

import itertools
import os
import signal
import statistics
import subprocess
import sys
import timeit
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from carp_ros.cli.main import EXTRAS
from carp_ros.processes.ros_environment import this_environment
from carp_ros.sim.faults import FaultClient

from .loopback_rig import write_rig

# Workers that run side by side must not hear each other's nodes, and no module those of the one
# before: a node that was killed goes on being discovered for 20 s. 60 to 91 stay clear of the
# domains that people use and below 101, where Linux's ephemeral ports begin.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_DOMAINS = 32 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) or 1
# Two runs on one machine begin at different places, most likely.
_RUN = zlib.crc32(os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid())).encode())
_domains = itertools.cycle(60 + (_RUN + _WORKER * _DOMAINS + own) % 32 for own in range(_DOMAINS))
os.environ["ROS_DOMAIN_ID"] = str(next(_domains))
os.environ.update(this_environment())

# Tests interrupt what they start, which would ignore it if a script ran pytest with `&`.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A loaded machine is no finding: properties are about values, not about time.
settings.register_profile("carp", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("carp")

RIG = Path(__file__).parent.parent / "config" / "ur5e_sim.yaml"
FR3_RIG = RIG.with_name("fr3_sim.yaml")
FAULT_PORT = 30999
FR3_FAULT_PORT = 30998
UNLOCK_DELAY_S = 0.5


# Where the host of a virtual machine has no time for it, emulated controllers miss their cycles,
# and tests of whole systems fail that say nothing of the code: there, and only there, they are
# tried again.
_TRIES_AGAIN = 2
_LOOP = 1_000_000
_USUAL_S, _SLOW_S = 0.02, 0.03  # for that loop, on the machine of the project's figures


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Allow tests in real time to be tried again on a machine that has no time for them."""
    if "not realtime" in (config.getoption("markexpr") or ""):
        return
    in_real_time = [item for item in items if item.get_closest_marker("realtime")]
    if in_real_time and (took_s := _loop_s()) > _SLOW_S:
        config.stash[_SLOWNESS] = took_s
        for item in in_real_time:
            item.add_marker(pytest.mark.flaky(reruns=_TRIES_AGAIN, reruns_delay=2))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say whether this machine was too slow for real time."""
    if took_s := config.stash.get(_SLOWNESS, None):
        terminalreporter.write_line(
            f"a slow machine: {took_s:.2f} s for what takes {_USUAL_S} s elsewhere; tests in real"
            f" time were tried up to {1 + _TRIES_AGAIN} times"
        )


def _loop_s() -> float:
    """Return how long a loop takes on this machine, as a median."""
    return statistics.median(timeit.repeat("x += 1", "x = 0", number=_LOOP, repeat=20))


_SLOWNESS = pytest.StashKey[float]()


class ModuleOfTests(pytest.Module):
    """A test module, which is skipped where an optional part of the package is not installed."""

    def _getobj(self):
        try:
            return super()._getobj()
        except self.CollectError as error:
            missing = error.__cause__
            if isinstance(missing, ModuleNotFoundError) and missing.name:
                package = missing.name.partition(".")[0]
                for extra, packages in EXTRAS.items():
                    if package in packages:
                        reason = f"needs {package}: pip install 'carp_ros[{extra}]'"
                        pytest.skip(reason, allow_module_level=True)
            raise


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    """Collect the tests of a file, or say which part they need."""
    return ModuleOfTests.from_parent(parent, path=module_path)


@pytest.fixture(scope="module", autouse=True)
def ros_domain() -> None:
    """Give each module, and the processes that it starts, a ROS domain of its own."""
    os.environ["ROS_DOMAIN_ID"] = str(next(_domains))


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a whole bundle; do not change it."""
    pytest.importorskip(
        "onnx", reason="bundles are written with onnx: pip install 'carp_ros[train]'"
    )
    from .tiny_bundle import write_tiny_bundle

    return write_tiny_bundle(tmp_path_factory.mktemp("models") / "tiny")


@dataclass
class RunningController:
    """A running controller: where it listens and how to make it fail."""

    host: str
    faults: FaultClient
    unlock_delay_s: float = UNLOCK_DELAY_S


@contextmanager
def running_controller(
    module: str, rig: Path, fault_port: int, *options: str, ends_within_s: float
) -> Iterator[RunningController]:
    """Run an emulated controller without physics, for as long as this context lasts."""
    # The libraries' ports are fixed, so every test process needs a loopback address of its own.
    pid = os.getpid()
    host = f"127.{100 + (pid >> 16) % 100}.{(pid >> 8) % 256}.{pid % 254 + 1}"
    command = [sys.executable, "-m", module, "--rig", str(rig), "--host", host]
    command += ["--physics", "kinematic", "--fault-port", str(fault_port), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "READY\n"
            faults = FaultClient(host, fault_port)
            yield RunningController(host, faults)
            faults.close()
        finally:
            process.terminate()
        assert process.wait(ends_within_s) == 0


@pytest.fixture(scope="session")
def ur_controller_process() -> Iterator[RunningController]:
    options = ("--unlock-delay", str(UNLOCK_DELAY_S))
    with running_controller(
        "carp_ros.sim.ur", RIG, FAULT_PORT, *options, ends_within_s=5.0
    ) as controller:
        yield controller


@pytest.fixture
def ur_controller(ur_controller_process: RunningController) -> RunningController:
    """Return the controller with every fault undone; the arm stands where a test left it."""
    ur_controller_process.faults.restore()
    ur_controller_process.faults.reset_statistics()
    return ur_controller_process


@pytest.fixture(scope="session")
def fr3_controller_process() -> Iterator[RunningController]:
    # this process may be late for the robot on a busy machine; 20 on a real one
    options = ("--lost-commands", "300")
    with running_controller(
        "carp_ros.sim.franka", FR3_RIG, FR3_FAULT_PORT, *options, ends_within_s=10.0
    ) as controller:
        yield controller


@pytest.fixture
def fr3_controller(fr3_controller_process: RunningController) -> RunningController:
    """Return an FR3's controller with every fault undone; the arm stands where a test left it."""
    fr3_controller_process.faults.restore()
    fr3_controller_process.faults.reset_statistics()
    return fr3_controller_process


@pytest.fixture
def rig_path(tmp_path) -> Path:
    """Return a rig's file for a whole system."""
    return write_rig(tmp_path)
