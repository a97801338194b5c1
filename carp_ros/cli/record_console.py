"""Keyboard control of the recorder: start, stop, label and discard episodes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from carp_ros.cli.episode_table import header, row
from carp_ros.cli.keys import key_presses
from carp_ros.errors import DeviceError
from carp_ros.reports.recorder import RecorderStatus

if TYPE_CHECKING:
    from carp_ros.clients.recorder_client import RecorderClient

HELP = """\
  e      enable the pointer                   h      go home      r   reset a fault
  space  start, stop    (or press both buttons of the pointer and let go)
  d      discard        (or hold both)        s, f   it succeeded, failed
  q      quit; a running episode is kept
Quits by itself once the requested number of episodes is labelled."""
_POLL_S = 0.1


class RecordConsole:
    """Maps keys to calls of the recorder's services, and shows its status.

    Args:
        recorder: The running system's recorder.
        cameras: The cameras whose frames are shown.
        ended: Filled with the recorder's final status of each episode, its label included.
    """

    def __init__(
        self, recorder: RecorderClient, cameras: Sequence[str], ended: list[RecorderStatus]
    ) -> None:
        self._recorder = recorder
        self._cameras = cameras
        self._ended = ended
        self._actions: dict[str, Callable[[], object]] = {
            " ": self._toggle,
            "d": recorder.discard,
            "s": lambda: recorder.mark_success(True),
            "f": lambda: recorder.mark_success(False),
            "e": self._enable_hand,
            "h": lambda: recorder.node.trigger("control/home"),
            "r": lambda: recorder.node.trigger("control/reset_fault"),
        }
        self._shown_s = 0.0

    def run(self, episodes: int) -> None:
        """Run until this many episodes are kept and labelled, or until `q`."""
        print(HELP)
        print(header(self._cameras), flush=True)
        try:
            with key_presses() as read_key:
                while sum(known.success is not None for known in self._ended) < episodes:
                    key = read_key(_POLL_S)
                    if key == "q":
                        return
                    self._press(key)
                    self._look()
        finally:
            if self._recorder.recording:
                self._recorder.stop()
            self._look()

    def _press(self, key: str) -> None:
        action = self._actions.get(key)
        if action is None:
            return
        try:
            action()
        except DeviceError as error:
            self._line(str(error))

    def _enable_hand(self) -> None:
        self._recorder.node.trigger("control/select_teleop")
        self._recorder.node.switch("control/enable", True)

    def _toggle(self) -> None:
        if self._recorder.recording:
            self._recorder.stop()
        else:
            self._recorder.start()

    def _look(self) -> None:
        """Show finished episodes and the progress of the current one."""
        for quality in self._recorder.status_updates():
            self._take(quality)
        now_s = time.monotonic()
        if self._recorder.recording and now_s - self._shown_s > 1.0 and sys.stdout.isatty():
            self._shown_s = now_s
            quality = self._recorder.quality
            text = "; ".join([f"{quality.seconds:.0f} s, {quality.verdict}", *quality.reasons])
            print(f"\r\033[K{text[:100]}", end="", flush=True)

    def _take(self, quality: RecorderStatus) -> None:
        same = [i for i, known in enumerate(self._ended) if known.folder == quality.folder]
        if quality.phase == "discarded":
            self._line(f"discarded {quality.folder}")
            for i in same:
                del self._ended[i]
        elif same:
            self._ended[same[0]] = quality
            done = {True: "success", False: "failure", None: "no label"}[quality.success]
            self._line(f"{quality.folder}: {done}")
        else:
            self._ended.append(quality)
            self._line(row(quality, self._cameras))

    def _line(self, text: str) -> None:
        clear = "\r\033[K" if sys.stdout.isatty() else ""
        print(f"{clear}{text}", flush=True)
