"""ROS node: stands in for a vendor's ros2_control driver, where neither it nor its robot is there.

To try a rig with `arm.driver: ros2_control` on one machine, and for tests. Topics, services and
diagnostics are those of `ur_robot_driver` and `franka_ros2` that `arm_bridge_node` uses; the robot
is a lag of first order (`sim/vendor_driver.py`). Joint states come from a thread of their own.

Subscribes:
    <controller>/commands (Float64MultiArray) or <controller>/joint_trajectory (JointTrajectory).
Publishes:
    <joint_states_topic> (JointState), <program_running_topic> (Bool), <speed_scaling_topic>
    (Float64), /diagnostics (DiagnosticArray): as the rig's file names them.
Services:
    <controller>/get_parameters (GetParameters): the controller's joints.
Parameters:
    rig; rate_hz of the joint states; order of the controller's joints; fault_port for fault
    injection (`sim/faults.py`), 0 for none.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from carp_ros.control.realtime import Metronome, prefer_path_of_commands
from carp_ros.rig_devices import Ros2ControlArmConfig
from carp_ros.ros.guarded_node import GuardedNode
from carp_ros.ros.params import fixed_parameter, rig_parameter
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import COMMAND, LATCHED
from carp_ros.sim.fault_listener import FaultListener
from carp_ros.sim.vendor_driver import Faults, VendorDriver
from carp_ros.strict import Between

_HOST = "127.0.0.1"
_KEPT = 20_000  # arrivals, for measurements
_RELIABLE = QoSProfile(depth=10)


class VendorStandInNode(GuardedNode):
    """One controller, one broadcaster and one robot."""

    def __init__(self) -> None:
        prefer_path_of_commands()  # a real controller is on time however busy this machine is
        super().__init__("vendor_stand_in_node")
        rig = rig_parameter(self)
        if not isinstance(rig.arm, Ros2ControlArmConfig):
            raise ValueError(f"arm.driver is {rig.arm.driver}; expected ros2_control")
        self._config = rig.arm
        names = tuple(rig.arm.joint_prefix + name for name in rig.robot.joint_names)
        rate_hz = fixed_parameter(self, "rate_hz", 500.0, "Of joint states.", Between(1.0, 1000.0))
        port = fixed_parameter(self, "fault_port", 0, "0 for none.", Between(0, 65535))
        given = fixed_parameter(self, "order", "", "The controller's joints, apart by spaces.")
        order = tuple(given.split()) or names
        home = dict(zip(names, rig.home_joints_rad))
        self._driver = VendorDriver(order, np.array([home.get(name, 0.0) for name in order]))
        self._period_s = 1.0 / rate_hz
        self._lock = threading.Lock()  # the robot's thread, the fault port's and ROS's
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=_KEPT)
        self._make_topics()
        self._faults = FaultListener(_HOST, port, self._operations()) if port else None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def destroy_node(self) -> None:
        """Stop the robot."""
        self._ending.set()
        self._thread.join(1.0)
        if self._faults:
            self._faults.close()
        super().destroy_node()

    def _make_topics(self) -> None:
        c = self._config
        self._states = self.create_publisher(JointState, c.joint_states_topic, _RELIABLE)
        self._programs = self._scalings = None
        if c.program_running_topic:
            self._programs = self.create_publisher(Bool, c.program_running_topic, LATCHED)
        if c.speed_scaling_topic:
            self._scalings = self.create_publisher(Float64, c.speed_scaling_topic, _RELIABLE)
        self._scaling = 1.0
        self._activity = self.create_publisher(DiagnosticArray, "/diagnostics", _RELIABLE)
        self.create_service(
            GetParameters, f"{c.controller}/get_parameters", self._on_get_parameters
        )
        if c.interface == "forward_position":
            self.create_subscription(
                Float64MultiArray, f"{c.controller}/commands", self._on_positions, COMMAND
            )
        else:
            self.create_subscription(
                JointTrajectory, f"{c.controller}/joint_trajectory", self._on_trajectory, COMMAND
            )
        self.create_timer(0.5, self._tell_activity)
        self._tell_program()

    def _on_positions(self, msg: Float64MultiArray) -> None:
        self._take(msg.data)

    def _on_trajectory(self, msg: JointTrajectory) -> None:
        if len(msg.points) == 1:
            (point,) = msg.points
            self._take(point.positions, list(msg.joint_names))

    def _take(self, positions: Any, names: list[str] | None = None) -> None:
        with self._lock:
            self._driver.take(positions, names or ())
            self._arrivals.append((time.monotonic_ns(), float(positions[0])))

    def _on_get_parameters(
        self, request: GetParameters.Request, response: GetParameters.Response
    ) -> GetParameters.Response:
        known = {
            "joints": ParameterValue(
                type=ParameterType.PARAMETER_STRING_ARRAY,
                string_array_value=list(self._driver.names),
            ),
        }
        if self._config.interface == "forward_position":
            known["interface_name"] = ParameterValue(
                type=ParameterType.PARAMETER_STRING, string_value="position"
            )
        else:
            known["interpolate_from_desired_state"] = ParameterValue(
                type=ParameterType.PARAMETER_BOOL, bool_value=True
            )
        if all(name in known for name in request.names):  # as rclcpp's: all of them, or none
            response.values = [known[name] for name in request.names]
        return response

    def _tell_activity(self) -> None:
        name = self._config.controller.rpartition("/")[2]
        state = "active" if self._driver.active else "inactive"
        told = DiagnosticStatus(
            level=DiagnosticStatus.OK,
            name="controller_manager: Controllers Activity",
            values=[KeyValue(key=f"{name}.state", value=state)],
        )
        msg = DiagnosticArray(status=[told])
        msg.header.stamp = self.get_clock().now().to_msg()
        self._activity.publish(msg)
        if self._scalings:
            self._scalings.publish(Float64(data=100.0 * self._scaling))

    def _tell_program(self) -> None:
        if self._programs:
            self._programs.publish(Bool(data=self._driver.runs_program))

    def _run(self) -> None:
        """Be the robot, cycle after cycle."""
        msg = JointState()
        for _ in Metronome(self._period_s):
            if self._ending.is_set():
                return
            with self._lock:
                self._driver.cycle(self._period_s)
                told = self._driver.joint_state()
                repeats = self._driver.faults.repeats
            if told is None:
                continue
            if not repeats:
                msg.header.stamp = self.get_clock().now().to_msg()
            msg.name, msg.position, msg.velocity = told
            try:
                self._states.publish(msg)
            except RuntimeError:
                if self.context.ok():
                    raise
                return  # ROS was shut down meanwhile

    def _operations(self) -> dict[str, Any]:
        driver = self._driver

        def locked(operation: Any) -> Any:
            def run(**arguments: Any) -> dict[str, Any] | None:
                with self._lock:
                    return operation(**arguments)

            return run

        def restore() -> None:
            driver.faults = Faults()
            driver.state_order, driver.tells_velocities = (), True
            driver.run_program(True)
            driver.reset_statistics()
            self._arrivals.clear()
            self._scaling = 1.0
            self._tell_program()

        def run_program(runs: bool) -> None:
            driver.run_program(runs)
            self._tell_program()

        def spoil(**faults: Any) -> None:
            driver.faults = Faults(**faults)

        def state_order(names: list[str], *, velocities: bool = True) -> None:
            driver.state_order, driver.tells_velocities = tuple(names), velocities

        def scale(fraction: float) -> None:
            self._scaling = fraction

        operations = {
            "restore": restore,
            "spoil": spoil,
            "state_order": state_order,
            "activate": driver.activate,
            "run_program": run_program,
            "scale": scale,
            "place": lambda joints: driver.place(np.array(joints)),
            "reset_statistics": driver.reset_statistics,
            "arrivals": lambda: {"arrivals": list(self._arrivals)},
            "state": lambda: {
                "joints": dict(zip(driver.names, driver.joints.tolist())),
                "active": driver.active,
                "commands": driver.commands,
                "largest_lead_rad": driver.largest_lead_rad,
                "largest_step_rad": driver.largest_step_rad,
            },
        }
        return {name: locked(operation) for name, operation in operations.items()}


def main() -> None:
    """Run the stand-in until shutdown."""
    run_node(VendorStandInNode)


if __name__ == "__main__":
    main()
