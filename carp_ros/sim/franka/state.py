"""The state that the controller sends every millisecond: 1377 bytes over UDP."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from carp_ros.sim.franka.protocol import ERROR_COUNT, STATE_SIZE, ControllerMode, RobotMode
from carp_ros.types import Array

_STATE = struct.Struct("<Q320fBB41B41BBf")
assert _STATE.size == STATE_SIZE

_HAND_KG, _HAND_COM_M = 0.73, (-0.01, 0.0, 0.03)  # Franka Hand, data sheet
_HAND_INERTIA = (0.001, 0.0, 0.0, 0.0, 0.0025, 0.0, 0.0, 0.0, 0.0017)
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
_GRAVITY = (0.0, 0.0, -9.81)
_ZEROS = (0.0,) * 36


@dataclass(slots=True)
class RobotState:
    """What the emulated controller knows of its arm; the other numbers of a real one are zero.

    Attributes:
        joints, velocities: Measured, seven in [rad] and [rad/s].
        point, point_velocities: The motors' set-point, seven in [rad] and [rad/s].
        torques, external_torques: Commanded by the client, and from outside, seven in [Nm].
        wrench: `K_F_ext_hat_K`: on the environment, in [N] and [Nm], in the end effector's axes.
        base_from_ee: The numbers of a matrix, see `columns`.
        end_effector: See `end_effector`.
        generator: 0 for idle.
        errors, last_errors: Active errors, and those that ended the last motion.
        success_rate: Share of the last 100 commands that arrived.
    """

    joints: Sequence[float]
    velocities: Sequence[float]
    point: Sequence[float]
    point_velocities: Sequence[float]
    torques: Sequence[float]
    external_torques: Sequence[float]
    base_from_ee: Sequence[float]
    end_effector: Sequence[float]
    wrench: tuple[float, ...] = (0.0,) * 6
    generator: int = 0
    controller: ControllerMode = ControllerMode.OTHER
    errors: Iterable[int] = ()
    last_errors: Iterable[int] = ()
    mode: RobotMode = RobotMode.IDLE
    success_rate: float = 0.0

    def to_bytes(self, number: int) -> bytes:
        """Return the datagram with this message number, which is the robot's time in [ms]."""
        pose, joints, velocities = self.base_from_ee, self.joints, self.velocities
        elbow = (joints[2], -1.0)
        zeros = _ZEROS
        numbers = [
            *pose,  # O_T_EE
            *pose,  # O_T_EE_d
            *self.end_effector,
            _HAND_KG,
            *_HAND_INERTIA,
            *_HAND_COM_M,
            *zeros[:13],  # load: mass, inertia, centre
            *elbow,
            *elbow,
            *self.torques,  # tau_J
            *self.torques,  # tau_J_d
            *zeros[:7],  # dtau_J
            *joints,
            *self.point,
            *velocities,
            *self.point_velocities,
            *zeros[:33],  # ddq_d; contacts and collisions of joints, of Cartesian directions
            *self.external_torques,
            *zeros[:6],  # O_F_ext_hat_K
            *self.wrench,  # K_F_ext_hat_K
            *zeros[:6],  # O_dP_EE_d
            *_GRAVITY,
            *elbow,  # commanded
            *zeros[:4],  # its derivatives
            *pose,  # O_T_EE_c
            *zeros[:12],  # O_dP_EE_c, O_ddP_EE_c
            *joints,  # motor positions
            *velocities,
            *zeros,  # accelerometers
        ]
        return _STATE.pack(
            number,
            *numbers,
            self.generator,
            self.controller,
            *_flags(self.errors),
            *_flags(self.last_errors),
            self.mode,
            self.success_rate,
        )


def columns(matrix: Array) -> list[float]:
    """Return the 16 numbers of a matrix of shape (4, 4), column by column."""
    return matrix.T.ravel().tolist()


def end_effector(flange_from_nominal: Array, nominal_from_ee: Array) -> list[float]:
    """Return the numbers of `F_T_EE`, `EE_T_K`, `F_T_NE` and `NE_T_EE`.

    Args:
        flange_from_nominal: The hand's end effector, of shape (4, 4).
        nominal_from_ee: The end effector that the client set, of shape (4, 4).
    """
    return [
        *columns(flange_from_nominal @ nominal_from_ee),
        *_IDENTITY,
        *columns(flange_from_nominal),
        *columns(nominal_from_ee),
    ]


def _flags(errors: Iterable[int]) -> list[int]:
    flags = [0] * ERROR_COUNT
    for error in errors:
        flags[error] = 1
    return flags
