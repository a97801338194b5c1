"""A client node that controls the arm: tracks its status, sends it home, stops it at the end."""

from __future__ import annotations

import time

from std_msgs.msg import String
from std_srvs.srv import SetBool

from carp_ros.reports.control import ControlStatus, Fault, Reason, StoppedError
from carp_ros.reports.json_report import report_from_json
from carp_ros.ros.qos import LATCHED
from carp_ros.ros.spinning_node import ANSWER_S, SpinningNode

_HOME_S = 20.0


class ConductorNode(SpinningNode):
    """Calls the control node's services.

    Args:
        name: Name of the node.

    Attributes:
        status: The control node's latest status; None before the first.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.status: ControlStatus | None = None
        self.create_subscription(String, "control/status", self._on_status, LATCHED)

    def stop(self) -> None:
        """Stop the arm and stop listening."""
        client = self.create_client(SetBool, "control/enable")
        if client.wait_for_service(0.5):
            client.call_async(SetBool.Request(data=False))
            time.sleep(0.1)
        super().stop()

    def prepare(self) -> str:
        """Reset a fault left from before; return its name, empty if there was none.

        Raises:
            DeviceError: If it could not be reset.
        """
        self.wait_until(lambda: self.status is not None, ANSWER_S, "report the arm's status")
        fault = self.fault
        if fault is Fault.NONE:
            return ""
        self.trigger("control/reset_fault")
        self.wait_until(lambda: self.fault is Fault.NONE, ANSWER_S, "reset its fault")
        return fault.name

    def go_home(self) -> None:
        """Send the arm home and wait until it is there.

        Raises:
            DeviceError: If it may not move or does not arrive in time.
        """
        self.trigger("control/home")
        self.wait_until(lambda: self.reason is Reason.HOME_REACHED, _HOME_S, "reach home")

    def explanation(self) -> str:
        """Return the control node's reason why the arm is not enabled, for error texts."""
        return f"; it says {self.reason_text or 'nothing'!r}"

    def error_of(self, text: str) -> StoppedError:
        """Return an error with this text and the control node's current reason and fault codes."""
        return StoppedError(text, self.reason, self.fault)

    @property
    def enabled(self) -> bool:
        """Whether motion is enabled."""
        return self.status is not None and self.status.enabled

    @property
    def moving(self) -> bool:
        """Whether the arm is commanded to move now."""
        return self.status is not None and self.status.moving

    @property
    def fault(self) -> Fault:
        """The latched fault; NO_SERVO before the first status."""
        return Fault.NO_SERVO if self.status is None else self.status.fault

    @property
    def reason(self) -> Reason:
        """Why motion is not enabled; NO_SERVO before the first status."""
        return Reason.NO_SERVO if self.status is None else self.status.reason

    @property
    def reason_text(self) -> str:
        """`reason` in words; empty if motion is enabled."""
        return "" if self.status is None else self.status.reason_text

    def _on_status(self, msg: String) -> None:
        self.status = report_from_json(ControlStatus, msg.data, "control/status")
