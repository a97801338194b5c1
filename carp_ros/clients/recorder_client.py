"""A client of the recorder: start, stop, get the verdict, label, discard."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from std_msgs.msg import String

from carp_ros.errors import DeviceError
from carp_ros.reports.json_report import report_from_json
from carp_ros.reports.recorder import RecorderStatus
from carp_ros.ros.qos import EVENTS
from carp_ros.ros.spinning_node import ANSWER_S, SpinningNode, taking_part

_FINISHED_S = 60.0  # enough to write a backlog of 256 MB to a slow disk
_ENDED = ("finished", "failed", "discarded")


class RecorderClient:
    """Talks to a running `recorder_node`.

    Args:
        node: Node to call and subscribe with.
    """

    def __init__(self, node: SpinningNode) -> None:
        self.node = node
        self._ended: dict[str, RecorderStatus] = {}
        self._news: deque[RecorderStatus] = deque()
        self._heard = False
        self.quality = RecorderStatus()
        """The newest status from `recorder/quality`."""
        self.result: RecorderStatus | None = None
        """The final status of the last `episode` block."""
        self.node.create_subscription(String, "recorder/quality", self._on_quality, EVENTS)

    def activate(self) -> None:
        """Configure and activate the recorder; for systems without a supervisor."""
        for number in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=number))
            answer = self.node.call(ChangeState, "recorder_node/change_state", request)
            if not answer.success:
                raise DeviceError(f"recorder_node refused transition {number}")

    def configure(self, **parameters: str | int) -> None:
        """Set parameters of the recorder for the following episodes."""
        self.node.set_parameters_of("recorder_node", **parameters)

    @property
    def recording(self) -> bool:
        """Whether an episode is being recorded."""
        return self.quality.phase == "recording"

    def start(self) -> str:
        """Start an episode; return its folder.

        Raises:
            DeviceError: If it could not be started.
        """
        return self.node.trigger("recorder/start")

    def stop(self) -> RecorderStatus:
        """End the episode; return its final status.

        Raises:
            DeviceError: If none is being recorded, or it is not on disk in time.
        """
        folder = self.node.trigger("recorder/stop")
        self.node.wait_until(lambda: folder in self._ended, _FINISHED_S, "finish the episode")
        return self._ended[folder]

    def mark_success(self, success: bool) -> None:
        """Label the current, or else the last, episode: whether its task was done."""
        self.node.switch("recorder/mark_success", success)

    def discard(self) -> str:
        """Remove the current, or else the last, episode; return its folder."""
        return self.node.trigger("recorder/discard")

    def status_updates(self) -> Iterator[RecorderStatus]:
        """Yield the statuses of episodes that ended or were labelled since the last call."""
        while self._news:
            yield self._news.popleft()

    @contextmanager
    def episode(self) -> Iterator[None]:
        """Record while the block runs."""
        self.start()
        try:
            yield
        finally:
            self.result = self.stop()

    def forget(self) -> None:
        """Forget the recorder, which is gone; `wait_until_there` then waits for a new one."""
        self._heard = False

    def wait_until_there(self, timeout_s: float = ANSWER_S) -> None:
        """Block until the recorder has sent a status.

        Raises:
            DeviceError: If it does not within `timeout_s`.
        """
        self.node.wait_until(lambda: self._heard, timeout_s, "show a recorder")

    def _on_quality(self, msg: String) -> None:
        self.quality = report_from_json(RecorderStatus, msg.data, "recorder/quality")
        self._heard = True
        folder = self.quality.folder
        if self.quality.phase == "recording":
            self._ended.pop(folder, None)  # the name of a discarded episode may be reused
        elif self.quality.phase in _ENDED:
            self._ended[folder] = self.quality
            self._news.append(self.quality)


@contextmanager
def recorder_client() -> Iterator[RecorderClient]:
    """Join the ROS graph to operate the recorder."""
    with taking_part(lambda: SpinningNode("recorder_client")) as node:
        yield RecorderClient(node)
