"""A Franka Hand: its own controller, and a client's connection to it."""

from __future__ import annotations

from dataclasses import dataclass

from carp_ros.sim.franka.protocol import (
    CONNECT_ANSWER,
    CONNECT_REQUEST,
    HAND_GRASP_REQUEST,
    HAND_MOVE_REQUEST,
    HAND_STATE,
    HAND_VERSION,
    HandCommand,
    HandStatus,
    MessageStream,
)

WIDEST_M = 0.08
_FASTEST_M_S = 0.2
_HOMING_M_S = 0.05
_CELSIUS = 20
_STILL_M_S = 0.002
_STILL_S = 0.1
_LEAST_S = 0.05  # from a command to the first judgement that the fingers stand still


@dataclass(slots=True)
class _Pending:
    """A command whose answer waits until the fingers stand still."""

    command: HandCommand
    number: int
    width_m: float
    inner_m: float = 0.0
    outer_m: float = 0.0
    returning: bool = False  # of homing: on the way back


class Hand:
    """The hand's controller. The plant determines the grip force.

    Attributes:
        width_m: Measured distance of the fingers.
        widest_m: As found by homing; 0 before.
        grasped: Whether the last grasp holds.
        blocked_at: Closure beyond which the fingers are blocked; None if they are free.
        answers: To be sent to the client.
        stream: Of the client's messages.
    """

    def __init__(self, period_s: float, *, homed: bool = True) -> None:
        self._period_s = period_s
        self._aim_m = WIDEST_M
        self._goal_m = WIDEST_M
        self._speed_m_s = _FASTEST_M_S
        self._still_s = 0.0
        self._since_s = 0.0
        self._pending: _Pending | None = None
        self.width_m = WIDEST_M
        self.widest_m = WIDEST_M if homed else 0.0
        self.grasped = False
        self.blocked_at: float | None = None
        self.answers: list[bytes] = []
        self.stream = MessageStream(hand=True)

    def cycle(self, closure: float) -> float:
        """Advance by one cycle.

        Args:
            closure: Measured closure of the fingers, 0 open to 1 closed.

        Returns:
            The motor's set-point for the closure.
        """
        width_m = WIDEST_M * (1.0 - closure)
        still = abs(width_m - self.width_m) < _STILL_M_S * self._period_s
        self._still_s = self._still_s + self._period_s if still else 0.0
        self._since_s += self._period_s
        self.width_m = width_m
        step_m = self._speed_m_s * self._period_s
        self._aim_m += min(max(self._goal_m - self._aim_m, -step_m), step_m)
        if self.blocked_at is not None:
            self._aim_m = max(self._aim_m, WIDEST_M * (1.0 - self.blocked_at))
        if self._pending and self._still_s > _STILL_S and self._since_s > _LEAST_S + _STILL_S:
            self._finish(self._pending)
        return 1.0 - self._aim_m / WIDEST_M

    def request(self, command: int, number: int, payload: bytes) -> None:
        """Obey a client's request; a new one aborts the one under way.

        Raises:
            ValueError: If there is no such request, or its payload is too short.
        """
        kind = HandCommand(command)
        if self._pending:
            self._answer(self._pending, HandStatus.ABORTED)
        if kind is HandCommand.HOMING:
            self._start(_Pending(kind, number, self.width_m), WIDEST_M, _HOMING_M_S)
        elif kind is HandCommand.MOVE and len(payload) >= HAND_MOVE_REQUEST.size:
            width_m, speed_m_s = HAND_MOVE_REQUEST.unpack_from(payload)
            self._start(_Pending(kind, number, width_m), width_m, speed_m_s)
        elif kind is HandCommand.GRASP and len(payload) >= HAND_GRASP_REQUEST.size:
            width_m, inner_m, outer_m, speed_m_s, _ = HAND_GRASP_REQUEST.unpack_from(payload)
            pending = _Pending(kind, number, width_m, inner_m, outer_m)
            self._start(pending, width_m, speed_m_s)
        elif kind is HandCommand.STOP:
            self._goal_m = self._aim_m
            self.answers.append(self.stream.answer(kind, number, HandStatus.SUCCESS))
        else:
            raise ValueError(f"{kind.name} has {len(payload)} bytes; expected those of its request")

    def state_bytes(self, number: int) -> bytes:
        """Return the state's datagram with this message number."""
        return HAND_STATE.pack(number, self.width_m, self.widest_m, self.grasped, _CELSIUS)

    def forget_client(self) -> None:
        """Drop what a client that is gone would be told."""
        self._pending = None
        self.answers.clear()
        self.stream = MessageStream(hand=True)

    def _start(self, pending: _Pending, goal_m: float, speed_m_s: float) -> None:
        self._pending = pending
        self._goal_m = min(max(goal_m, 0.0), WIDEST_M)
        self._speed_m_s = min(max(speed_m_s, 0.0), _FASTEST_M_S)
        if (self._goal_m - self.width_m) * (self._aim_m - self.width_m) < 0.0:
            self._aim_m = self.width_m  # turn round at the fingers, not inside an object
        self._still_s = self._since_s = 0.0
        self.grasped = False

    def _finish(self, pending: _Pending) -> None:
        if pending.command is HandCommand.HOMING and not pending.returning:
            self.widest_m = self.width_m
            self._start(pending, pending.width_m, _HOMING_M_S)
            pending.returning = True
            return
        status = HandStatus.SUCCESS
        if pending.command is HandCommand.GRASP:
            low, high = pending.width_m - pending.inner_m, pending.width_m + pending.outer_m
            self.grasped = low < self.width_m < high
            status = HandStatus.SUCCESS if self.grasped else HandStatus.UNSUCCESSFUL
        elif pending.command is HandCommand.MOVE and abs(self.width_m - self._goal_m) > 0.005:
            status = HandStatus.UNSUCCESSFUL
            self._goal_m = self._aim_m = self.width_m  # a move does not press on
        self._answer(pending, status)

    def _answer(self, pending: _Pending, status: HandStatus) -> None:
        self.answers.append(self.stream.answer(pending.command, pending.number, status))
        self._pending = None


class HandConnection:
    """One client of the hand.

    Attributes:
        udp_port: Where the client receives states; 0 before it connects.
    """

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self.udp_port = 0

    def receive(self, data: bytes) -> bytes:
        """Process the client's data; return what is to be sent at once.

        Raises:
            ValueError: If a message is malformed.
        """
        hand = self._hand
        for command, number, payload in hand.stream.split(data):
            if command == HandCommand.CONNECT and len(payload) >= CONNECT_REQUEST.size:
                _, self.udp_port = CONNECT_REQUEST.unpack_from(payload)
                answer = CONNECT_ANSWER.pack(0, HAND_VERSION)
                hand.answers.append(hand.stream.message(command, number, answer))
            else:
                hand.request(command, number, payload)
        return self.send()

    def send(self) -> bytes:
        """Return the answers that are due."""
        answers = b"".join(self._hand.answers)
        self._hand.answers.clear()
        return answers

    def close(self) -> None:
        """The client is gone: the fingers go on with what they were told."""
        self._hand.forget_client()
