"""Takes the arm's joints out of joint states of any order, with any others among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carp_ros.errors import MessageError
from carp_ros.types import Array

_FARTHEST_RAD = 100.0
_FASTEST_RAD_S = 100.0
_SHOWN = 20  # names in an error's text
_LONGEST_STEP_S = 0.1  # between two states that tell a velocity


class JointReader:
    """Reads the joints of one arm.

    A broadcaster that does not tell velocities leaves them out or sends NaN; they then follow from
    the last two positions, as they do where no arm is as fast as is told.

    Args:
        names: The joints, in the order wanted.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._indices_of: list[str] = []
        self._indices: list[int] = []
        self._stamp_s = 0.0
        self._joints: Array | None = None

    def read(
        self,
        names: Sequence[str],
        positions: Sequence[float],
        velocities: Sequence[float],
        stamp_s: float,
    ) -> tuple[Array, Array] | None:
        """Return positions and velocities in the order wanted, each of shape (J,).

        None if the joint state has none of the joints: it is another device's.

        Args:
            names: Of the joints of the joint state.
            positions: In [rad], one for each name.
            velocities: In [rad/s], one for each name, or none.
            stamp_s: When they were measured, by the sender's clock.

        Raises:
            MessageError: If some of the joints are missing, one is there twice, a position is not
                finite, or the stamp is that of the last state: then the sender repeats what it once
                knew.
        """
        indices = self._find(names)
        if indices is None:
            return None
        if len(positions) != len(names) or len(velocities) not in (0, len(names)):
            raise MessageError(
                f"joint state has {len(names)} names, {len(positions)} positions and"
                f" {len(velocities)} velocities; expected as many of each, or no velocities"
            )
        joints = np.array([positions[i] for i in indices])
        if not (np.abs(joints) <= _FARTHEST_RAD).all():  # also false for NaN
            raise MessageError(
                f"joint state is {joints.tolist()} rad; expected finite numbers of at most"
                f" {_FARTHEST_RAD:g} rad"
            )
        if stamp_s == self._stamp_s:
            raise MessageError(
                f"joint state has the stamp of the last one, {stamp_s:.3f} s; expected a later one"
            )
        speeds = np.array([velocities[i] for i in indices]) if len(velocities) else None
        if speeds is None or not (np.abs(speeds) <= _FASTEST_RAD_S).all():  # nor if NaN
            speeds = self._speeds(joints, stamp_s)
        self._joints, self._stamp_s = joints, stamp_s
        return joints, speeds

    def _find(self, names: Sequence[str]) -> list[int] | None:
        if names == self._indices_of:  # a sender hardly ever changes its order
            return self._indices
        found = list(names)
        missing = [name for name in self._names if name not in found]
        if len(missing) == len(self._names):
            return None
        if missing:
            raise MessageError(
                f"joint state lacks {', '.join(missing)}; it has {found[:_SHOWN]}: set"
                " arm.joint_prefix, or arm.joint_states_topic to the arm's own broadcaster"
            )
        if twice := [name for name in self._names if found.count(name) > 1]:
            raise MessageError(f"joint state names {', '.join(twice)} twice; expected it once")
        self._indices_of, self._indices = found, [found.index(name) for name in self._names]
        return self._indices

    def _speeds(self, joints: Array, stamp_s: float) -> Array:
        step_s = stamp_s - self._stamp_s
        if self._joints is None or not 0.0 < step_s <= _LONGEST_STEP_S:
            return np.zeros(len(joints))
        return (joints - self._joints) / step_s
