"""The recorder as a program sees it: start, stop, hear the verdict, label, discard."""

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

_FINISHED_S = 60.0  # a backlog of 256 MB, and a slow disk
_ENDED = ("finished", "failed", "discarded")


class RecorderClient:
    """Talks to a running `recorder_node`.

    Args:
        node: Whose services and subscriptions to use.
    """

    def __init__(self, node: SpinningNode) -> None:
        self.node = node
        self._ended: dict[str, RecorderStatus] = {}
        self._news: deque[RecorderStatus] = deque()
        self._heard = False
        self.quality = RecorderStatus()
        """The newest of what `recorder/quality` says."""
        self.result: RecorderStatus | None = None
        """What the last `episode` block recorded."""
        self.node.create_subscription(String, "recorder/quality", self._on_quality, EVENTS)

    def activate(self) -> None:
        """Lead the recorder through its lifecycle, where no supervisor does."""
        for number in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            request = ChangeState.Request(transition=Transition(id=number))
            answer = self.node.call(ChangeState, "recorder_node/change_state", request)
            if not answer.success:
                raise DeviceError(f"recorder_node refused transition {number}")

    def configure(self, **parameters: str | int) -> None:
        """Set parameters of the recorder for the episodes that follow."""
        self.node.set_parameters_of("recorder_node", **parameters)

    @property
    def recording(self) -> bool:
        """Whether an episode is recorded now."""
        return self.quality.phase == "recording"

    def start(self) -> str:
        """Begin an episode; return its folder.

        Raises:
            DeviceError: If it does not begin.
        """
        return self.node.trigger("recorder/start")

    def stop(self) -> RecorderStatus:
        """End the episode; return what `recorder/quality` says of it.

        Raises:
            DeviceError: If there is none, or it is not on disk in time.
        """
        folder = self.node.trigger("recorder/stop")
        self.node.wait_until(lambda: folder in self._ended, _FINISHED_S, "finish the episode")
        return self._ended[folder]

    def mark_success(self, success: bool) -> None:
        """Say whether the task of the present, or else the last, episode was done."""
        self.node.switch("recorder/mark_success", success)

    def discard(self) -> str:
        """Remove the present, or else the last, episode; return its folder."""
        return self.node.trigger("recorder/discard")

    def news(self) -> Iterator[RecorderStatus]:
        """Yield what was said of episodes that ended, or of their labels, since the last call."""
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
        """Wait anew for a recorder to answer: the one that was heard is gone."""
        self._heard = False

    def wait_until_there(self, timeout_s: float = ANSWER_S) -> None:
        """Return once the recorder answers.

        Raises:
            DeviceError: If it does not.
        """
        self.node.wait_until(lambda: self._heard, timeout_s, "show a recorder")

    def _on_quality(self, msg: String) -> None:
        self.quality = report_from_json(RecorderStatus, msg.data, "recorder/quality")
        self._heard = True
        folder = self.quality.folder
        if self.quality.phase == "recording":
            self._ended.pop(folder, None)  # a discarded episode's name may be taken again
        elif self.quality.phase in _ENDED:
            self._ended[folder] = self.quality
            self._news.append(self.quality)


@contextmanager
def recorder_client() -> Iterator[RecorderClient]:
    """Take part in the ROS graph to operate the recorder."""
    with taking_part(lambda: SpinningNode("recorder_client")) as node:
        yield RecorderClient(node)
