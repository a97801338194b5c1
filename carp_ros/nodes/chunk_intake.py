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
        now_ns: A steady clock.
    """

    def __init__(
        self,
        frame: str,
        take: Callable[[Chunk], None],
        refuse: Callable[[CarpError], None],
        now_ns: Callable[[], int],
    ) -> None:
        self._now_ns = now_ns
        self._frame = frame
        self._take = take
        self._refuse = refuse
        self._pairing: Pairing[MultiDOFJointTrajectory, JointTrajectory] = Pairing(
            ("chunk", "gripper_chunk")
        )

    def take_poses(self, msg: MultiDOFJointTrajectory) -> None:
        """Take the poses."""
        stamp_ns = time_from_msg(msg.header.stamp)
        self._join(self._pairing.take_first(stamp_ns, msg, self._now_ns()))

    def take_gripper(self, msg: JointTrajectory) -> None:
        """Take the closures."""
        stamp_ns = time_from_msg(msg.header.stamp)
        self._join(self._pairing.take_second(stamp_ns, msg, self._now_ns()))

    def watch(self) -> None:
        """Refuse messages whose counterpart did not arrive in time."""
        for why in self._pairing.refused(self._now_ns()):
            self._refuse(MessageError(why))

    def _join(self, pair: tuple[MultiDOFJointTrajectory, JointTrajectory] | None) -> None:
        self.watch()
        if pair is None:
            return
        try:
            self._take(chunk_from_msgs(*pair, self._frame))
        except CarpError as error:
            self._refuse(error)
