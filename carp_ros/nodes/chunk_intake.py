"""Joins the two messages of a chunk, arriving in either order, into one chunk."""

from __future__ import annotations

from collections.abc import Callable

from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from carp_ros.control.pairing import Pairing
from carp_ros.errors import CarpError, MessageError
from carp_ros.ros.messages import chunk_from_msgs, time_from_msg
from carp_ros.types import Chunk


class ChunkIntake:
    """Pairs a chunk's two messages by stamp, since DDS may deliver them in any order.

    Args:
        frame: Frame that chunks must be in.
        take: Called with each complete chunk.
        refuse: Called with the reason for each refusal.
    """

    def __init__(
        self, frame: str, take: Callable[[Chunk], None], refuse: Callable[[CarpError], None]
    ) -> None:
        self._frame = frame
        self._take = take
        self._refuse = refuse
        self._pairing: Pairing[MultiDOFJointTrajectory, JointTrajectory] = Pairing(
            ("chunk", "gripper_chunk")
        )

    def take_poses(self, msg: MultiDOFJointTrajectory, now_ns: int) -> None:
        """Take the poses, at steady time `now_ns`."""
        self._join(self._pairing.take_first(time_from_msg(msg.header.stamp), msg, now_ns))
        self.watch(now_ns)

    def take_gripper(self, msg: JointTrajectory, now_ns: int) -> None:
        """Take the closures, at steady time `now_ns`."""
        self._join(self._pairing.take_second(time_from_msg(msg.header.stamp), msg, now_ns))
        self.watch(now_ns)

    def watch(self, now_ns: int) -> None:
        """Refuse messages whose counterpart did not arrive in time."""
        for why in self._pairing.refused(now_ns):
            self._refuse(MessageError(why))

    def _join(self, pair: tuple[MultiDOFJointTrajectory, JointTrajectory] | None) -> None:
        if pair is None:
            return
        try:
            chunk = chunk_from_msgs(*pair, self._frame)
        except CarpError as error:
            self._refuse(error)
            return
        self._take(chunk)
