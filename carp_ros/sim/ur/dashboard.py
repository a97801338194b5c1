"""The dashboard port: the pendant's buttons as lines of text.

Source: Universal Robots, "Dashboard Server e-Series". Only what ur-rtde and our driver send.
"""

from __future__ import annotations

from carp_ros.sim.ur.controller import Controller, RuntimeState

GREETING = b"Connected: Universal Robots Dashboard Server\n"


class DashboardConnection:
    """One client of the dashboard port."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._rest = b""

    def receive(self, data: bytes) -> bytes:
        """Process the client's data; return one line for every complete line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        answers = (self._answer(line.decode(errors="replace").strip()) for line in lines)
        return "".join(f"{answer}\n" for answer in answers).encode()

    def _answer(self, line: str) -> str:
        c = self._controller
        command = line.lower()
        if command == "polyscopeversion":
            return "URSoftware {}.{}.{}.{}".format(*c.version)
        if command == "get serial number":
            return "20225500001"
        if command == "get robot model":
            return "UR5"
        if command == "is in remote control":
            return str(c.remote_control).lower()
        if command == "robotmode":
            return f"Robotmode: {c.safety.robot_mode.name}"
        if command in ("safetymode", "safetystatus"):
            return f"{line.capitalize()}: {c.safety.safety_mode.name}"
        if command == "running":
            return f"Program running: {str(c.runtime is RuntimeState.PLAYING).lower()}"
        if command == "programstate":
            return f"{c.runtime.name} rtde_control"
        return self._act(command)

    def _act(self, command: str) -> str:
        c = self._controller
        if command == "close safety popup":
            return "closing safety popup"
        if not c.remote_control:
            return "Command is not allowed due to safety reasons: robot is not in remote control"
        if command == "stop":
            c.stop_program()
            return "Stopped"
        if command == "unlock protective stop":
            return c.safety.unlock(c.time_s) or "Protective stop releasing"
        if command == "power on":
            c.safety.power_on(c.time_s)
            return "Powering on"
        if command == "power off":
            c.power_off()
            return "Powering off"
        if command == "brake release":
            c.safety.brake_release(c.time_s)
            return "Brake releasing"
        return f"could not understand: '{command}'"
