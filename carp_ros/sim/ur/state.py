"""The variables that the controller reports over RTDE, by name.

Only those of the simulated arm are computed. Others in ur-rtde's default recipe, such as
temperatures and currents, are zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from carp_ros.sim.ur.controller import Controller, RuntimeState
from carp_ros.sim.ur.rtde import Output
from carp_ros.sim.ur.safety import RobotMode

_ZERO = {
    "DOUBLE": (
        "actual_execution_time actual_momentum actual_main_voltage actual_robot_voltage"
        " actual_robot_current standard_analog_input0 standard_analog_input1"
        " standard_analog_output0 standard_analog_output1 payload"
    ),
    "UINT64": "actual_digital_input_bits actual_digital_output_bits",
    "VECTOR3D": "actual_tool_accelerometer payload_cog",
    "VECTOR6D": (
        "target_qdd target_current target_moment actual_current joint_control_output"
        " actual_TCP_speed target_TCP_speed joint_temperatures actual_joint_voltage ft_raw_wrench"
        " payload_inertia"
    ),
    "VECTOR6INT32": "joint_mode",
}
_LENGTHS = {"VECTOR3D": 3, "VECTOR6D": 6, "VECTOR6INT32": 6}


def output_variables(controller: Controller) -> dict[str, Output]:
    """Return every variable that a client can request."""
    c = controller
    outputs = {
        "timestamp": Output("DOUBLE", lambda: (c.time_s,)),
        "actual_q": Output("VECTOR6D", lambda: c.plant.joints.tolist()),
        "actual_qd": Output("VECTOR6D", lambda: c.plant.velocities.tolist()),
        "target_q": Output("VECTOR6D", lambda: c.point.joints.tolist()),
        "target_qd": Output("VECTOR6D", lambda: c.point.velocities.tolist()),
        "actual_TCP_pose": Output(
            "VECTOR6D", lambda: c.kinematics.forward(c.plant.joints).tolist()
        ),
        "target_TCP_pose": Output(
            "VECTOR6D", lambda: c.kinematics.forward(c.point.joints).tolist()
        ),
        "actual_TCP_force": Output("VECTOR6D", lambda: c.tcp_force),
        "robot_mode": Output("INT32", lambda: (c.safety.robot_mode,)),
        "safety_mode": Output("INT32", lambda: (c.safety.safety_mode,)),
        "safety_status_bits": Output("UINT32", lambda: (c.safety.status_bits,)),
        "robot_status_bits": Output("UINT32", lambda: (_robot_status_bits(c),)),
        "runtime_state": Output("UINT32", lambda: (c.runtime,)),
        "speed_scaling": Output("DOUBLE", lambda: (float(c.runtime is RuntimeState.PLAYING),)),
        "target_speed_fraction": Output("DOUBLE", lambda: (c.point.speed_fraction,)),
    }
    for kind, names in _ZERO.items():
        zeros = (0,) * _LENGTHS.get(kind, 1)
        outputs |= {name: Output(kind, _constant(zeros)) for name in names.split()}
    for i in range(len(c.registers.output_int)):
        outputs[f"output_int_register_{i}"] = Output("INT32", _item(c.registers.output_int, i))
        outputs[f"output_double_register_{i}"] = Output(
            "DOUBLE", _item(c.registers.output_double, i)
        )
    return outputs


def _robot_status_bits(controller: Controller) -> int:
    powered = controller.safety.robot_mode is not RobotMode.POWER_OFF
    return int(powered) | 2 * (controller.runtime is RuntimeState.PLAYING)


def _constant(numbers: Sequence[float]) -> Callable[[], Sequence[float]]:
    return lambda: numbers


def _item(numbers: list[float], index: int) -> Callable[[], Sequence[float]]:
    return lambda: (numbers[index],)
