"""`python -m bench.ros2_control`: rate and delay of the way through a vendor's ros2_control driver.

A process with the servo's priority hands targets to the arm's driver, as the servo does; they pass
`arm_bridge_node` and reach a stand-in for the vendor's driver, which notes when each arrived. The
stand-in is a Python node: a vendor's own, in C++, takes less of the machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from carp_ros.control.realtime import Metronome, request_realtime
from carp_ros.errors import DeviceError
from carp_ros.evaluation.report import heading, write_report
from carp_ros.processes.ros_environment import enter
from carp_ros.rig import load_rig
from carp_ros.servo.devices import make_arm
from carp_ros.share import version
from carp_ros.sim.faults import FaultClient
from carp_ros.system.bringup import rig_path

_FAULT_PORT = 30996
_NAMESPACE = "/carp"
_STEP_RAD = 1e-7  # from target to target, to tell them apart where they arrive
_START_S = 120.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure each rig and write the report."""
    parser = argparse.ArgumentParser(prog="python -m bench.ros2_control", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--report", type=Path, default=Path("out/ros2_control.json"))
    options = parser.parse_args()
    enter()
    content = heading(["python", "-m", "bench.ros2_control", *sys.argv[1:]], version())
    content["load_average"] = os.getloadavg()[0]
    content["ways"] = []
    for rig, states_hz in (("ur5e_ros2_control", 500.0), ("fr3_ros2_control", 1000.0)):
        found = measure(rig_path(rig), states_hz, options.seconds)
        print(found)
        content["ways"].append(found)
    write_report(options.report, content)
    print(f"report: {options.report}")
    return 0


def measure(rig: Path, states_hz: float, seconds: float) -> dict[str, Any]:
    """Return what was measured with one rig.

    Args:
        rig: The rig's file.
        states_hz: Rate of the stand-in's joint states.
        seconds: Duration.
    """
    stand_in = ["-p", f"fault_port:={_FAULT_PORT}", "-p", f"rate_hz:={states_hz}"]
    processes = [
        _node("vendor_stand_in_node", rig, stand_in),
        _node("arm_bridge_node", rig, ["-r", f"__ns:={_NAMESPACE}"]),
    ]
    try:
        return _measure(rig, states_hz, seconds, processes[1].pid)
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGINT)
            process.wait(10.0)


def _measure(path: Path, states_hz: float, seconds: float, bridge: int) -> dict[str, Any]:
    rig = load_rig(path)
    arm = make_arm(rig)
    deadline_s = time.monotonic() + _START_S
    while True:
        try:
            arm.connect()
            if arm.read().ready:
                break
        except DeviceError:
            pass
        if time.monotonic() > deadline_s:
            raise DeviceError(f"the arm was not ready within {_START_S:g} s")
        time.sleep(0.2)
    faults = FaultClient("127.0.0.1", _FAULT_PORT)
    faults.request("restore")
    time.sleep(1.0)
    arm.recover()
    request_realtime(rig.servo.priority, rig.servo.cpu, required=False)
    sent_ns: dict[float, int] = {}
    state_ages_ms: list[float] = []
    target, last_s = arm.read().joints.copy(), 0.0
    ticks = round(seconds * rig.servo.rate_hz)
    used_s = _cpu_s(bridge)
    began_s = time.monotonic()
    for tick, _ in zip(range(ticks), Metronome(1.0 / rig.servo.rate_hz)):
        state = arm.read()
        if not state.ready:
            raise DeviceError(f"tick {tick}: {state.explanation}")
        if state.robot_time_s != last_s:
            last_s = state.robot_time_s
            state_ages_ms.append((time.time() - last_s) * 1e3)
        target[0] += _STEP_RAD
        sent_ns[float(target[0])] = time.monotonic_ns()
        arm.servo(target)
    lasted_s = time.monotonic() - began_s
    cpu = (_cpu_s(bridge) - used_s) / lasted_s
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    time.sleep(0.5)
    arrivals = [(at, value) for at, value in faults.request("arrivals")["arrivals"]]
    delays_ms = [(at - sent_ns[value]) * 1e-6 for at, value in arrivals if value in sent_ns]
    gaps_ms = np.diff([at for at, _ in arrivals]) * 1e-6
    return {
        "rig": path.stem,
        "interface": getattr(rig.arm, "interface", ""),
        "servo_hz": rig.servo.rate_hz,
        "joint_states_hz": states_hz,
        "states_read_hz": round(len(state_ages_ms) / lasted_s, 1),
        "commands_arrived_hz": round(len(delays_ms) / lasted_s, 1),
        "servo_to_controller_ms": _quantiles(delays_ms),
        "between_commands_ms": _quantiles(gaps_ms),
        "joint_state_to_servo_ms": _quantiles(state_ages_ms),
        "bridge_cores": round(cpu, 3),
    }


def _quantiles(values: Any) -> dict[str, float]:
    found = np.quantile(np.asarray(values), (0.5, 0.99, 1.0)).tolist()
    return {name: round(value, 2) for name, value in zip(("p50", "p99", "max"), found)}


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _node(name: str, rig: Path, options: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"carp_ros.nodes.{name}", "--ros-args", *options]
    return subprocess.Popen([*command, "-p", f"rig:={rig}"])


if __name__ == "__main__":
    sys.exit(main())
