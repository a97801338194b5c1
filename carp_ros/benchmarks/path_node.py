"""ROS node that lets a policy move the arm for a while and records the latency of its plans."""

from __future__ import annotations

import time
from collections.abc import Callable

from carp_ros.clients.chunk_log import ChunkLog
from carp_ros.clients.conductor_node import ConductorNode
from carp_ros.ros.spinning_node import ANSWER_S


class PathNode(ConductorNode):
    """Subscribes to no images, so that it adds no load to the system."""

    def __init__(self) -> None:
        super().__init__("path_node")
        self.chunks = ChunkLog(self)

    def measure(self, seconds: float, progress: Callable[[int], None]) -> None:
        """Send the arm home, let the policy move it, and stop it; `chunks` has the results.

        Args:
            seconds: Duration.
            progress: Called with the elapsed seconds.

        Raises:
            DeviceError: If the arm can't be enabled, or was stopped.
        """
        self.prepare()
        self.go_home()
        self.trigger("control/select_policy")
        self.wait_until(lambda: bool(self.chunks.sent), ANSWER_S, "plan")
        self.switch("control/enable", True)
        self.wait_until(lambda: self.enabled, ANSWER_S, "let the policy move")
        self.chunks.clear()
        begin_s = time.monotonic()
        while (passed_s := time.monotonic() - begin_s) < seconds:
            progress(int(passed_s))
            if not self.enabled:
                raise self.error_of(f"the arm was stopped: {self.reason_text}")
            time.sleep(0.1)
        self.switch("control/enable", False)
