"""Measures the delay from a servoJ joint target to the robot state that shows it.

It runs in its own process with the servo's priority, as the servo does, and prints one delay in
[ms] per line.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from carp_ros.control.realtime import request_realtime
from carp_ros.hardware.ur import UrArm
from carp_ros.rig import load_rig
from carp_ros.rig_devices import UrArmConfig

_SAMPLES = 300
_STEP_RAD = 1e-4
_TIMEOUT_S = 0.1


def main() -> None:
    """Step the last joint back and forth by a tiny angle, and time each step."""
    from rtde_receive import RTDEReceiveInterface

    rig = load_rig(Path(sys.argv[1]))
    if not isinstance(rig.arm, UrArmConfig):
        raise ValueError(f"arm.driver is {rig.arm.driver}; expected ur: this measures servoJ")
    request_realtime(rig.servo.priority, rig.servo.cpu, required=False)
    receive = RTDEReceiveInterface(rig.arm.host, 500.0, ["timestamp", "target_q"])
    arm = UrArm(rig.arm)
    arm.connect()  # last: from here on the robot's watchdog requires a target every 1/20 s
    start = arm.read().joints
    phases = np.random.default_rng(0)
    try:
        for i in range(1, _SAMPLES + 1):
            target = start.copy()
            target[-1] += _STEP_RAD * (i % 2)
            time.sleep(phases.uniform(0.01, 0.012))  # at any phase of the robot's cycle
            before = receive.getTargetQ()[-1]
            sent_s = time.perf_counter()
            arm.servo(target)
            while receive.getTargetQ()[-1] == before:
                if time.perf_counter() - sent_s > _TIMEOUT_S:
                    break
                time.sleep(1e-5)
            sys.stdout.write(f"{(time.perf_counter() - sent_s) * 1e3:.4f}\n")
    finally:
        arm.close()


if __name__ == "__main__":
    main()
