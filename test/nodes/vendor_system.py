"""A servo process, the node beside it and a stand-in for a vendor's driver; the test commands."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from carp_ros.control.command import Command, ServoLink, ServoState
from carp_ros.control.servo import ServoMode
from carp_ros.reports.control import Fault
from carp_ros.rig import load_rig
from carp_ros.rig_devices import Ros2ControlArmConfig
from carp_ros.sim.faults import FaultClient
from carp_ros.types import Array, Twist

from ..patience import await_true

CONFIG = Path(__file__).parents[2] / "config"
STILL = Twist(np.zeros(3), np.zeros(3))
RATE_HZ = 250.0
PATIENCE_S = 40.0
NAMESPACE = "/carp"


def write_rig(folder: Path, name: str = "ur5e_ros2_control", **arm: Any) -> Path:
    """Write a rig's file for a busy machine, with these changes to its `arm`."""
    content = yaml.safe_load((CONFIG / f"{name}.yaml").read_text())
    content["servo"] |= {"rate_hz": RATE_HZ, "require_realtime": False, "heartbeat_timeout_s": 1.0}
    content["arm"] |= {"state_timeout_s": 0.3, **arm}
    content["limits"]["max_joint_speed_rad_s"] = 0.3
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


class VendorSystem:
    """The processes, and what the test knows of them.

    Attributes:
        rig: The rig.
        faults: The stand-in's fault port.
    """

    def __init__(self, rig_path: Path, fault_port: int, order: str = "") -> None:
        self.rig_path = rig_path
        self.rig = load_rig(rig_path)
        assert isinstance(self.rig.arm, Ros2ControlArmConfig)
        self.names = [self.rig.arm.joint_prefix + name for name in self.rig.robot.joint_names]
        self.home = np.array(self.rig.home_joints_rad)
        self._fault_port, self._order = fault_port, order
        self._link = ServoLink(f"test_{os.getpid()}_vendor", create=True)
        self._command = Command(0, ServoMode.HOLD, 0, 0, False, STILL, 0, 0.0)
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            self.start_driver()
            self.start_bridge()
            self.start_servo()
        except BaseException:
            self.stop()
            raise

    def start_driver(self) -> None:
        """Start the vendor's driver."""
        parameters = {"rate_hz": RATE_HZ, "fault_port": self._fault_port}
        if self._order:
            parameters["order"] = self._order
        self._processes["driver"] = self._node("vendor_stand_in_node", [], parameters)
        await_true(self._connects, PATIENCE_S, "the stand-in listens")

    def start_bridge(self) -> None:
        """Start the node between the servo process and ROS."""
        options = ["-r", f"__ns:={NAMESPACE}"]
        self._processes["bridge"] = self._node("arm_bridge_node", options, {})

    def start_servo(self) -> None:
        """Start servo processes until one is connected, as the control node does."""

        def connected() -> bool:
            command = [sys.executable, "-m", "carp_ros.servo.servo_process"]
            command += [*self.rig.file.arguments, "--link", self._link.name]
            seen = self._link.state.count
            self._processes["servo"] = subprocess.Popen(command)
            while self.servo.poll() is None:
                if self._link.state.count > seen:
                    return True
                time.sleep(0.01)
            return False

        await_true(connected, PATIENCE_S, "a servo process that ticks")

    def stop(self) -> None:
        """End everything, the servo first."""
        self._change(exit=True)
        for process in reversed(self._processes.values()):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)  # the servo ignores it
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._ending.set()
        self._beating.join()
        self._link.unlink()

    @property
    def servo(self) -> subprocess.Popen[bytes]:
        """The servo process."""
        return self._processes["servo"]

    @property
    def bridge(self) -> subprocess.Popen[bytes]:
        """The node's process."""
        return self._processes["bridge"]

    @property
    def driver(self) -> subprocess.Popen[bytes]:
        """The stand-in's process."""
        return self._processes["driver"]

    @property
    def state(self) -> ServoState:
        """What the servo told last."""
        record = self._link.state.read()
        assert record is not None
        return ServoState.from_record(record)

    def enable(self) -> None:
        """Let the arm move home."""
        self._change(mode=ServoMode.JOINTS, enables=self._command.enables + 1)

    def reset(self) -> ServoState:
        """Reset the fault, and return the state with what came of it."""
        self._change(resets=self._command.resets + 1, mode=ServoMode.HOLD)
        await_true(
            lambda: self.state.resets_done == self._command.resets, PATIENCE_S, "an answer to reset"
        )
        return self.state

    def reset_until_clear(self) -> None:
        """Reset the fault whose cause is gone, though not all may have noticed yet."""
        await_true(lambda: self.reset().fault is Fault.NONE, PATIENCE_S, "the fault is cleared")

    def await_fault(self, *faults: Fault) -> ServoState:
        """Wait for one of these faults, and return the state."""
        await_true(lambda: self.state.fault in faults, PATIENCE_S, f"one of {faults}")
        return self.state

    def joints(self) -> Array:
        """Return where the arm really is, in the robot's order."""
        told = self.faults.request("state")["joints"]
        return np.array([told[name] for name in self.names])

    def put_aside(self, by_rad: float = 0.25) -> Array:
        """Put the arm beside its home with nothing moving, and make it ready to move there."""
        self._change(mode=ServoMode.HOLD)
        self.faults.request("restore")
        self.faults.request("activate", active=False)
        await_true(lambda: not self.state.ready, PATIENCE_S, "the servo sees it inactive")
        aside = self.home.copy()
        aside[0] += by_rad
        given = dict(zip(self.names, aside.tolist()))
        order = list(self.faults.request("state")["joints"])
        self.faults.request("place", joints=[given[name] for name in order])
        self.faults.request("activate", active=True)
        self.reset_until_clear()
        await_true(lambda: _near(self.state.joints, aside), PATIENCE_S, "the servo sees it there")
        self.faults.request("reset_statistics")
        return aside

    def await_motion(self, start: Array) -> None:
        """Wait until the arm has clearly begun to move."""
        await_true(lambda: abs(self.joints()[0] - start[0]) > 0.02, PATIENCE_S, "the arm moves")

    def await_home(self) -> None:
        """Wait until the arm is at home."""
        await_true(lambda: _near(self.joints(), self.home), PATIENCE_S, "the arm is at home")

    def assert_still(self, for_s: float = 0.5) -> None:
        """Fail if the arm moves."""
        before = self.joints()
        time.sleep(for_s)
        np.testing.assert_allclose(self.joints(), before, atol=2e-3)

    def assert_stays_until_reset_and_enable(self) -> None:
        """Fail if the arm moves before it is reset and enabled, or then does not."""
        self.enable()
        self.assert_still()
        self.reset_until_clear()
        self.assert_still()
        self.enable()
        self.await_home()

    def _change(self, **news: Any) -> None:
        with self._lock:
            self._command = dataclasses.replace(self._command, **news)
            self._write()

    def _write(self) -> None:
        now = dataclasses.replace(self._command, heartbeat_ns=time.monotonic_ns())
        self._link.command.write(now.to_record())

    def _beat(self) -> None:
        while not self._ending.wait(0.02):
            with self._lock:
                self._write()

    def _connects(self) -> bool:
        from carp_ros.errors import DeviceError

        try:
            self.faults = FaultClient("127.0.0.1", self._fault_port)
        except DeviceError:
            return False
        return True

    def _node(
        self, name: str, options: list[str], parameters: dict[str, Any]
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"carp_ros.nodes.{name}", "--ros-args", *options]
        for key, value in {"rig": str(self.rig_path), **parameters}.items():
            command += ["-p", f"{key}:={value}"]
        return subprocess.Popen(command)


def _near(joints: Array, goal: Array) -> bool:
    return bool(np.abs(joints - goal).max() < 5e-3)
