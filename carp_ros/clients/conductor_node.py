"""A node that conducts what the arm does: knows how it is, sends it home, stops it at the end."""

from __future__ import annotations

import json
import time
from typing import Any

from std_msgs.msg import String
from std_srvs.srv import SetBool

from carp_ros.ros.qos import LATCHED
from carp_ros.ros.spinning_node import ANSWER_S, SpinningNode

_HOME_S = 20.0


class ConductorNode(SpinningNode):
    """Calls the control node's services.

    Args:
        name: Of the node.

    Attributes:
        status: What the control node said last; see there.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.status: dict[str, Any] = {}
        self.create_subscription(String, "control/status", self._on_status, LATCHED)

    def stop(self) -> None:
        """Stop the arm and listen no more."""
        client = self.create_client(SetBool, "control/enable")
        if client.wait_for_service(0.5):
            client.call_async(SetBool.Request(data=False))
            time.sleep(0.1)
        super().stop()

    def prepare(self) -> str:
        """Reset a fault that is left from before; return which, or nothing.

        Raises:
            DeviceError: If it could not be reset.
        """
        self.wait_until(lambda: bool(self.status), ANSWER_S, "say how the arm is")
        fault = self.status["fault"]
        if fault == "NONE":
            return ""
        self.trigger("control/reset_fault")
        self.wait_until(lambda: self.status["fault"] == "NONE", ANSWER_S, "reset its fault")
        return str(fault)

    def go_home(self) -> None:
        """Send the arm home and wait until it is there.

        Raises:
            DeviceError: If it may not move, or does not arrive.
        """
        self.trigger("control/home")
        self.wait_until(lambda: self.status.get("reason") == "home reached", _HOME_S, "reach home")

    def excuse(self) -> str:
        """Return what the control node says of the arm."""
        return f"; it says {self.status.get('reason') or 'nothing'!r}"

    def _on_status(self, msg: String) -> None:
        self.status = json.loads(msg.data)
