"""A Robotiq 2F-85 behind the socket that its URCap opens on the controller.

Source: Robotiq, "2F-85 & 2F-140 Instruction Manual", registers; URCap socket on port 63352: one
line per request, `GET VAR` answered by `VAR value`, `SET VAR value ...` by `ack` without a newline.
"""

from __future__ import annotations

from carp_ros.sim.plant import CYCLE_S

_OPEN_COUNTS, _CLOSED_COUNTS = 3, 230
_SPAN = _CLOSED_COUNTS - _OPEN_COUNTS
_STROKE_MM, _SLOWEST_MM_S, _FASTEST_MM_S = 85.0, 20.0, 150.0
_ACTIVATION_S = 0.5
_LATENCY_S = 0.01  # of a request on its way to the gripper, during which OBJ is stale
_REACHED = 0.03
_STILL_PER_S = 0.05
_STILL_S = 0.1

_WRITABLE = ("ACT", "GTO", "ATR", "ADR", "FOR", "SPE", "POS")
_READABLE = (*_WRITABLE, "STA", "OBJ", "FLT", "PRE")

MOVING, STOPPED_OPENING, STOPPED_CLOSING, ARRIVED = range(4)


class RobotiqFingers:
    """The gripper's own controller. The plant determines the grip force; `FOR` is only stored.

    Attributes:
        blocked_at: Closure beyond which the fingers are blocked; None if they are free.
    """

    def __init__(self) -> None:
        self.variables: dict[str, int] = dict.fromkeys(_READABLE, 0)
        self.variables |= {"OBJ": ARRIVED, "POS": _OPEN_COUNTS}
        self.blocked_at: float | None = None
        self.powered = True
        self._requests: list[tuple[float, dict[str, int]]] = []
        self._time_s = 0.0
        self._active_at_s: float | None = None
        self._aim = 0.0
        self._closure = 0.0
        self._still_s = 0.0

    def request(self, values: dict[str, int]) -> None:
        """Queue variables to set; they take effect after the request's latency."""
        self._requests.append((self._time_s + _LATENCY_S, values))

    def cycle(self, closure: float, powered: bool) -> float:
        """Advance by one cycle.

        Args:
            closure: Measured closure of the fingers, 0 open to 1 closed.
            powered: Whether the tool has power; after a loss of power, the gripper must be
                activated again.

        Returns:
            The motor's set-point for the closure.
        """
        self._time_s += CYCLE_S
        self.powered = powered
        if not powered:
            self.variables |= {"ACT": 0, "STA": 0, "GTO": 0}
        while self._requests and self._requests[0][0] <= self._time_s:
            self._accept(self._requests.pop(0)[1])
        self._activate()
        still = abs(closure - self._closure) < _STILL_PER_S * CYCLE_S
        self._still_s = self._still_s + CYCLE_S if still else 0.0
        self._closure = closure
        self.variables["POS"] = round(_OPEN_COUNTS + _SPAN * min(max(closure, 0.0), 1.0))
        self._drive()
        return self._aim

    def _accept(self, values: dict[str, int]) -> None:
        for name, value in values.items():
            if name == "POS":
                self.variables["PRE"] = value
                self._still_s = 0.0
            elif name == "ACT":
                if value and not self.variables["ACT"] and self.powered:
                    self._active_at_s = self._time_s + _ACTIVATION_S
                    self.variables["STA"] = 1
                self.variables["ACT"] = value
            else:
                self.variables[name] = value

    def _activate(self) -> None:
        if not self.variables["ACT"]:
            self._active_at_s = None
            self.variables["STA"] = 0
        elif self._active_at_s is not None and self._time_s >= self._active_at_s:
            self._active_at_s = None
            self.variables["STA"] = 3

    def _drive(self) -> None:
        if self._active_at_s is not None:
            goal = 0.0  # activation opens the fingers
        elif self.variables["STA"] == 3 and self.variables["GTO"]:
            goal = min(max((self.variables["PRE"] - _OPEN_COUNTS) / _SPAN, 0.0), 1.0)
        else:
            return
        self._turn_round(goal)
        fraction = self.variables["SPE"] / 255.0
        speed_mm_s = _SLOWEST_MM_S + fraction * (_FASTEST_MM_S - _SLOWEST_MM_S)
        step = speed_mm_s / _STROKE_MM * CYCLE_S
        self._aim += min(max(goal - self._aim, -step), step)
        if self.blocked_at is not None:
            self._aim = min(self._aim, self.blocked_at)
        self.variables["OBJ"] = self._detect(goal)

    def _turn_round(self, goal: float) -> None:
        """On reversal, start from the fingers rather than from a set-point inside an object."""
        if goal < self._closure < self._aim or goal > self._closure > self._aim:
            self._aim = self._closure

    def _detect(self, goal: float) -> int:
        if abs(goal - self._closure) < _REACHED:
            return ARRIVED
        if self._still_s < _STILL_S:
            return MOVING
        return STOPPED_CLOSING if goal > self._closure else STOPPED_OPENING


class RobotiqConnection:
    """One client of the gripper's socket."""

    def __init__(self, fingers: RobotiqFingers) -> None:
        self._fingers = fingers
        self._rest = b""

    def receive(self, data: bytes) -> bytes:
        """Process the client's data; return the answers to every complete line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return b"".join(self._answer(line.decode(errors="replace").split()) for line in lines)

    def _answer(self, words: list[str]) -> bytes:
        if len(words) == 2 and words[0] == "GET" and words[1] in self._fingers.variables:
            value = self._fingers.variables[words[1]] if self._fingers.powered else "?"
            return f"{words[1]} {value}\n".encode()
        names, values = words[1::2], words[2::2]
        understood = (
            words[:1] == ["SET"]
            and len(names) == len(values) > 0
            and all(name in _WRITABLE for name in names)
            and all(value.isdecimal() and int(value) <= 255 for value in values)
        )
        if not (understood and self._fingers.powered):
            return b"?\n"
        self._fingers.request({name: int(value) for name, value in zip(names, values)})
        return b"ack"
