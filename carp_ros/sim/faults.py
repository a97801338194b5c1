"""Client of an emulated controller's fault port, for tests, the cell's node and evaluations."""

from __future__ import annotations

import json
import socket
from typing import Any

from carp_ros.errors import DeviceError


class FaultClient:
    """One connection to the fault port of a simulated controller.

    Args:
        host: Address of the controller.
        port: Its fault port.
        timeout_s: Timeout of an answer.

    Raises:
        DeviceError: If nothing listens there.
    """

    def __init__(self, host: str, port: int, timeout_s: float = 5.0) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
        except OSError as error:
            raise DeviceError(
                f"no simulated controller at {host}:{port} ({error}); start"
                " `python -m carp_ros.sim.ur` or `carp_ros.sim.franka` first"
            ) from error
        self._file = self._socket.makefile("rb")

    def request(self, op: str, **arguments: Any) -> dict[str, Any]:
        """Request one operation and return its answer.

        Raises:
            DeviceError: If the controller refuses or is gone.
        """
        try:
            self._socket.sendall(json.dumps({"op": op, **arguments}).encode() + b"\n")
            line = self._file.readline()
        except OSError as error:
            raise DeviceError(
                f"the simulated controller does not answer {op!r}: {error}"
            ) from error
        if not line:
            raise DeviceError(f"the simulated controller ended before it answered {op!r}")
        answer = json.loads(line)
        if not answer.pop("ok"):
            raise DeviceError(f"{op} refused: {answer['error']}")
        return answer

    def protective_stop(self) -> None:
        """Stop the arm as after a collision."""
        self.request("protective_stop")

    def emergency_stop(self) -> None:
        """Press the emergency stop; the user stop of an FR3."""
        self.request("emergency_stop")

    def release_emergency_stop(self) -> None:
        """Release the emergency stop; power stays off."""
        self.request("release_emergency_stop")

    def kill_program(self) -> None:
        """Stop the program that runs on the controller."""
        self.request("kill_program")

    def remote_control(self, enabled: bool) -> None:
        """Switch the pendant between remote and local control."""
        self.request("remote_control", enabled=enabled)

    def drop_rtde(self) -> None:
        """Close every RTDE connection."""
        self.request("drop_rtde")

    def drop_link(self) -> None:
        """Close every connection of an FR3 and its hand."""
        self.request("drop_link")

    def lose_commands(self, duration_s: float) -> None:
        """Lose the commands to an FR3 for a while, but not its states."""
        self.request("lose_commands", s=duration_s)

    def silence(self, duration_s: float) -> None:
        """Block all traffic on the robot's ports for a while; connections stay open."""
        self.request("silence", s=duration_s)

    def speed_slider(self, fraction: float) -> None:
        """Move the pendant's speed slider, 0 to 1."""
        self.request("speed_slider", fraction=fraction)

    def block_arm(self) -> None:
        """Hold the arm at its current pose, unnoticed by the controller."""
        self.request("block_arm")

    def release_arm(self) -> None:
        """Undo `block_arm`."""
        self.request("release_arm")

    def push(self, *wrench: float) -> None:
        """Push the flange like a hand from now on, until pushed otherwise.

        Args:
            wrench: Three forces [N], and perhaps three torques [Nm], in the axes of `base_link`.
        """
        self.request("push", wrench=[*wrench, *[0.0] * (6 - len(wrench))])

    def block_gripper(self, closure: float) -> None:
        """Keep the fingers from closing beyond `closure`, 0 open to 1 closed."""
        self.request("block_gripper", closure=closure)

    def release_gripper(self) -> None:
        """Undo `block_gripper`."""
        self.request("release_gripper")

    def restore(self) -> None:
        """Undo every fault; the arm is powered, without a program, and does not move."""
        self.request("restore")

    def scatter(self, seed: int, level: str, instruction: str = "") -> str:
        """Rearrange the cell's objects at random; return what is asked for now, in words.

        Args:
            seed: Of places, colours and what is asked for.
            level: How much they vary.
            instruction: What is asked for instead; empty: the seed's choice.
        """
        answer = self.request("scatter", seed=seed, level=level, instruction=instruction)
        return str(answer["instruction"])

    def judge(self) -> dict[str, Any]:
        """Return the task's verdict: `success`, and otherwise the `reasons`."""
        return self.request("judge")

    def state(self) -> dict[str, Any]:
        """Return joints, velocities, modes and timing statistics of the controller's loop."""
        return self.request("state")

    def reset_statistics(self) -> None:
        """Reset tick statistics and the highest joint speed."""
        self.request("reset_statistics")

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()
