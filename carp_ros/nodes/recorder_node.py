"""ROS node: records episodes and reports their quality as soon as they end.

Subscribes:
    The topics that carp_ros.recording.episode.topics lists, as serialised messages that are not
        decoded here.
    episode/event (String): JSON {schema, event, by}; event is start, stop, toggle, keep, discard,
        success or failure.
Publishes:
    recorder/quality (String): JSON of `RecorderStatus`, latched, once a second while recording
        and once at the end.
    /diagnostics (DiagnosticArray): `recorder: episode`, 1 Hz.
Services:
    recorder/start, recorder/stop (Trigger): the message is the episode's folder; the verdict
        follows on recorder/quality.
    recorder/discard (Trigger): remove the episode being recorded, or else the last one.
    recorder/mark_success (SetBool): whether the episode's task was done.
Parameters, each taking effect from the next episode:
    folder, task, instruction, operator (empty: the logged-in user), seed (below 0: none),
    images (jpeg or raw).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from carp_ros.control.realtime import prefer_process
from carp_ros.errors import CarpError
from carp_ros.nodes.episode_parameters import EpisodeParameters
from carp_ros.nodes.instructions import follow_topic
from carp_ros.recording.depth_messages import DEPTH
from carp_ros.recording.event import event_from_json
from carp_ros.recording.live_episode import sources
from carp_ros.recording.messages import decode_text
from carp_ros.recording.writer_link import WriterLink
from carp_ros.reports.json_report import report_to_json
from carp_ros.reports.recorder import Phase, RecorderStatus
from carp_ros.ros.diagnostics import ERROR, OK, WARN, DiagnosticsPublisher, status
from carp_ros.ros.managed_node import ManagedNode
from carp_ros.ros.params import fixed_parameter, rig_parameter
from carp_ros.ros.process import run_node
from carp_ros.ros.qos import EVENTS
from carp_ros.ros.raw_topics import STATUS, listen
from carp_ros.strict import Between

_BUFFER_MB = 256  # 4.6 s of two raw 640x480 cameras at 30 Hz
_POLL_S = 0.05
_LEAVE_S = 4.0  # the launcher allows 5 s after Ctrl-C
_LEVELS = {"green": OK, "unknown": OK, "amber": WARN, "red": ERROR}
_EVENT = "/episode/event"


class RecorderNode(ManagedNode):
    """Passes serialised messages and operator requests on to the writer process."""

    def __init__(self) -> None:
        prefer_process(niceness=-5)  # below control; before ROS starts its threads
        super().__init__("recorder_node")
        self._rig = rig_parameter(self)
        self._buffer_bytes = int(
            1e6
            * fixed_parameter(
                self,
                "buffer_mb",
                _BUFFER_MB,
                "How many megabytes the disk may fall behind [MB].",
                Between(1, 16_000),
            )
        )
        self._next = EpisodeParameters(self, self._rig)
        follow_topic(self)
        self._topics = sources(self._rig)
        self._minor = {
            number for number, topic in enumerate(self._topics) if topic.name.endswith(f"/{DEPTH}")
        }
        self._numbers = {topic.name: number for number, topic in enumerate(self._topics)}
        self._recording = False
        self._folder = ""
        self._said = RecorderStatus()
        self._ended: RecorderStatus | None = None
        self._arm_status: bytes | None = None
        self._lost_said_s = 0.0
        for name, action in (
            ("start", self._start),
            ("stop", self._stop),
            ("discard", self._discard),
        ):
            self.offer(Trigger, f"recorder/{name}", _answering(action))
        self.offer(SetBool, "recorder/mark_success", self._on_mark_success)

    def configure(self) -> None:
        """Start the writer process and offer the services."""
        self._writer = WriterLink(self._rig, self._buffer_bytes)
        self._quality = self.create_publisher(String, "recorder/quality", EVENTS)
        self._diagnostics = DiagnosticsPublisher(self)
        self.create_timer(_POLL_S, self._on_poll)
        self.create_timer(1.0, self._on_second)
        self._folder, self._ended = "", None
        self._say("idle", verdict="unknown", reasons=())

    def activate(self) -> None:
        """Subscribe to all recorded topics."""
        takers = {_EVENT: self._on_event, STATUS: self._on_status}
        for number, topic in enumerate(self._topics):
            listen(self, topic, takers.get(topic.name) or self._taker(number))

    def deactivate(self) -> None:
        """Finish the current episode."""
        if self._recording:
            self._stop()

    def cleanup(self) -> None:
        """Finish the episode and end the writer process."""
        self._leave()

    def _start(self) -> str:
        """Start an episode; return its folder.

        Raises:
            CarpError: If it cannot be started.
        """
        if not self.is_active:
            raise CarpError("the recorder is not active; is supervisor_node running?")
        if self._recording:
            raise CarpError(f"already recording {self._folder}: stop it first")
        now_ns = self._now_ns()
        info = self._next.info(now_ns)
        folder = self._next.new_folder(info)
        self._writer.begin_count()
        images = self._next.images
        self._command("start", folder=str(folder), info=info.texts, images=images)
        self._recording, self._folder = True, str(folder)
        self.get_logger().info(f"recording {folder}")
        self._say("recording", verdict="unknown", reasons=(), seconds=0.0, success=None)
        if self._arm_status is not None:
            self._put(self._numbers[STATUS], self._arm_status)
        return self._folder

    def _stop(self) -> str:
        """End the episode and keep it; return its folder."""
        self._require_recording()
        self._writer.tick(self._now_ns())
        self._command("finish")
        self._recording = False
        self._say("finishing")
        return self._folder

    def _discard(self) -> str:
        """Remove the episode; return its folder."""
        if not self._folder:
            raise CarpError("nothing was recorded yet: there is nothing to discard")
        folder = self._folder
        self._command("discard", folder=folder)
        self._recording, self._folder = False, ""
        return folder

    def _label(self, success: bool) -> str:
        if not self._folder:
            raise CarpError("nothing was recorded yet: there is nothing to label")
        self._command("label", folder=self._folder, success=success)
        return self._folder

    def _require_recording(self) -> None:
        if not self._recording:
            raise CarpError("not recording: start first")

    def _command(self, do: str, **content: Any) -> None:
        if not self._writer.command(self._now_ns(), do, **content):
            raise CarpError(
                f"the writer is {self._writer.backlog_bytes / 1e6:.0f} MB behind and refuses"
                f" {do}: is the disk stalled?"
            )

    def _on_event(self, cdr: bytes) -> None:
        """Carry out an operator's request; the request itself is recorded in the episode."""
        number = self._numbers[_EVENT]
        was_recording = self._recording
        if was_recording:
            self._put(number, cdr)
        try:
            self._obey(event_from_json(decode_text(cdr)).wish)
        except CarpError as error:
            self.get_logger().warning(str(error))
        if self._recording and not was_recording:
            self._put(number, cdr)

    def _obey(self, wish: str) -> None:
        actions: dict[str, Callable[[], str]] = {
            "start": self._start,
            "stop": self._stop,
            "toggle": self._stop if self._recording else self._start,
            "keep": lambda: self._folder,  # keeping is the default: nothing to do
            "discard": self._discard,
            "success": lambda: self._label(True),
            "failure": lambda: self._label(False),
        }
        actions[wish]()

    def _on_mark_success(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        return _answering(lambda: self._label(request.data))(request, response)

    def _on_status(self, cdr: bytes) -> None:
        self._arm_status = cdr
        if self._recording:
            self._put(self._numbers[STATUS], cdr)

    def _taker(self, number: int) -> Callable[[bytes], None]:
        def take(cdr: bytes) -> None:
            if self._recording:
                self._put(number, cdr)

        return take

    def _put(self, number: int, cdr: bytes) -> None:
        minor = number in self._minor  # a slow disk loses depth before it loses a colour image
        if not self._writer.put(number, self._now_ns(), cdr, minor=minor):
            now_s = time.monotonic()
            if now_s - self._lost_said_s >= 1.0:
                self._lost_said_s = now_s
                self.get_logger().error(
                    f"{self._writer.lost} messages lost: the disk is"
                    f" {self._writer.backlog_bytes / 1e6:.0f} MB behind; the episode is red"
                )

    def _on_poll(self) -> None:
        for answer in self._writer.answers():
            self._take_answer(answer)
        if death := self._writer.death():
            self._replace_writer(death)

    def _take_answer(self, answer: dict[str, Any]) -> None:
        event, folder = answer.pop("event"), answer.pop("folder")
        if "reasons" in answer:
            answer["reasons"] = tuple(answer["reasons"])
        is_current = folder == self._folder  # the next episode may have begun meanwhile
        if event in ("live", "labelled") and self._recording and is_current:
            self._say("recording", **answer)
        elif event == "labelled" and self._ended is not None and folder == self._ended.folder:
            self._ended = replace(self._ended, **answer)
            self._publish(self._ended)
        elif event in ("finished", "failed", "discarded"):
            if is_current and event == "failed":
                self._recording = False
            self._say(event, **{**answer, "folder": folder})
            self._ended = self._said
            self._report(event)

    def _replace_writer(self, death: str) -> None:
        """Give up the episode of a dead writer process, and start a new writer."""
        unfinished = self._recording or self._said.phase == "finishing"
        self._recording = False
        self._writer = WriterLink(self._rig, self._buffer_bytes)
        if unfinished:
            reason = f"{death}; `carp recover {self._folder}` keeps what it wrote"
            self._say("failed", verdict="red", reasons=(reason,))
            self._report("failed")
        else:
            self.get_logger().error(f"{death}; a new one is started")

    def _report(self, event: str) -> None:
        reasons = "; ".join(self._said.reasons)
        text = f"{event} {self._said.folder}: {self._said.verdict}"
        text += f": {reasons}" if reasons else ""
        if event == "failed":
            self.get_logger().error(text)
        else:
            self.get_logger().info(text)

    def _on_second(self) -> None:
        if self._recording:
            self._writer.tick(self._now_ns())
            if lost := self._writer.lost:
                self._say("recording", verdict="red", reasons=(f"{lost} messages lost so far",))
        said = self._said
        level = _LEVELS[said.verdict] if said.phase != "idle" else OK
        message = "; ".join([said.phase, *said.reasons])
        values = {
            key: getattr(said, key) for key in ("folder", "verdict", "lost", "most_backlog_bytes")
        }
        self._diagnostics.publish([status("recorder: episode", level, message, values)])

    def _say(self, phase: Phase, **content: Any) -> None:
        self._said = replace(
            self._said,
            **{"folder": self._folder, **content},
            phase=phase,
            lost=self._writer.lost,
            backlog_bytes=self._writer.backlog_bytes,
            most_backlog_bytes=self._writer.most_backlog_bytes,
        )
        self._publish(self._said)

    def _publish(self, said: RecorderStatus) -> None:
        self._quality.publish(String(data=report_to_json(said)))

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _leave(self) -> None:
        """Finish the episode and end the writer process, once."""
        if not hasattr(self, "_writer"):
            return
        if self._recording:
            self._recording = False
            self._writer.tick(self._now_ns())
            self._writer.command(self._now_ns(), "finish")
        in_time = self._writer.stop(_LEAVE_S)
        finished = [a for a in self._writer.answers() if a["event"] in ("finished", "failed")]
        for answer in finished:
            self.get_logger().info(f"{answer['event']} {self._folder}: {answer['verdict']}")
        if not in_time:
            self.get_logger().warning(f"{self._folder} is still being written and will be finished")
        del self._writer


def _answering(action: Callable[[], str]) -> Callable[..., Any]:
    """Return a service callback for an action that returns a folder or raises a refusal."""

    def callback(_: Any, response: Any) -> Any:
        try:
            response.message, response.success = action(), True
        except CarpError as error:
            response.message, response.success = str(error), False
        return response

    return callback


def main() -> None:
    """Run the recorder until shutdown."""
    run_node(RecorderNode)


if __name__ == "__main__":
    main()
