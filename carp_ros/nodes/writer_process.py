"""The recorder's writer as a process of its own: a slow disk delays nobody but this one.

Imports no ROS. Takes from a ring what `recorder_node` put in: commands and messages in the order in
which they happened. Answers in JSON lines on its standard output. When the node is gone it writes
what is left in the ring, makes it safe on disk and ends.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import select
import shutil
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

from carp_ros.errors import DeviceError
from carp_ros.recording.bag import read_info, write_info
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.recording.live_episode import LiveEpisode, sources
from carp_ros.rig import Rig, load_rig
from carp_ros.ring import Ring

ITEM = struct.Struct("<iq")
"""Before each message: the number of its topic among `sources`, and when it was received [ns]."""
COMMAND = -1
"""In place of the topic's number: the item is a command, in JSON."""

_FLUSH_EVERY_S = 1.0
_IDLE_S = 0.01


class WriterProcess:
    """Empties the ring until its node is gone or tells it to leave.

    Args:
        rig: What is recorded.
        ring: Where commands and messages come from.
    """

    def __init__(self, rig: Rig, ring: Ring) -> None:
        self._rig = rig
        self._ring = ring
        self._topics = [topic.name for topic in sources(rig)]
        self._episode: LiveEpisode | None = None
        self._last_folder: Path | None = None
        self._last_ns = 0
        self._flush_at_s = 0.0
        self._leave = False

    def run(self) -> None:
        """Work until told to leave, or left alone."""
        while True:
            alone = _is_alone()
            item = self._ring.take()
            while item is not None:
                self._take(item)
                self._flush_when_due()
                item = self._ring.take()
            if self._leave or alone:
                break
            self._flush_when_due()
            time.sleep(_IDLE_S)
        if self._episode is not None:
            self._episode.flush()

    def _take(self, item: bytes) -> None:
        number, received_ns = ITEM.unpack_from(item)
        try:
            if number == COMMAND:
                self._last_ns = received_ns
                self._obey(json.loads(item[ITEM.size :]))
            elif self._episode is not None:
                self._last_ns = received_ns
                self._episode.write(self._topics[number], received_ns, item[ITEM.size :])
        except (DeviceError, ValueError) as error:
            self._fail(str(error))

    def _obey(self, command: dict[str, Any]) -> None:
        what = command["do"]
        if what == "leave":
            self._leave = True
        elif what == "start":
            info = EpisodeInfo(**{**command["info"], "reasons": ()})
            self._last_folder = Path(command["folder"])
            self._episode = LiveEpisode(self._last_folder, self._rig, info, command["images"])
            self._flush_at_s = time.monotonic() + _FLUSH_EVERY_S
            self._answer("started")
        elif what == "tick" and self._episode is not None:
            self._tick(self._episode, command["lost"])
        elif what == "finish" and self._episode is not None:
            self._finish(self._episode)
        elif what == "discard":
            self._discard()
        elif what == "label":
            self._label(command["success"])

    def _tick(self, episode: LiveEpisode, lost: int) -> None:
        episode.take_loss(lost)
        quality = episode.quality(self._last_ns)
        self._answer("live", size_bytes=episode.size_bytes, **dataclasses.asdict(quality))

    def _finish(self, episode: LiveEpisode) -> None:
        quality = episode.finish(self._last_ns)
        self._episode = None
        self._answer(
            "finished",
            success=episode.info.success,
            size_bytes=episode.size_bytes,
            **dataclasses.asdict(quality),
        )

    def _discard(self) -> None:
        if self._episode is not None:
            episode, self._episode = self._episode, None
            episode.discard()
        elif self._last_folder is not None and self._last_folder.exists():
            shutil.rmtree(self._last_folder)
        self._answer("discarded")

    def _label(self, success: bool) -> None:
        if self._episode is not None:
            self._episode.label(success)
        elif self._last_folder is not None:
            info = read_info(self._last_folder)
            write_info(self._last_folder, dataclasses.replace(info, success=success))
        self._answer("labelled", success=success)

    def _flush_when_due(self) -> None:
        if self._episode is None or time.monotonic() < self._flush_at_s:
            return
        try:
            self._episode.flush()
        except DeviceError as error:
            self._fail(str(error))
            return
        self._flush_at_s = time.monotonic() + _FLUSH_EVERY_S

    def _fail(self, reason: str) -> None:
        """Give the episode up; what was flushed can be recovered."""
        self._episode = None
        self._answer("failed", verdict="red", reasons=[reason])

    def _answer(self, event: str, **content: Any) -> None:
        line = json.dumps({"event": event, "folder": str(self._last_folder), **content})
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            # the node is gone: nobody listens, and there is still something to write
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def _is_alone() -> bool:
    """Tell whether the node has closed its end of our standard input: it never writes there."""
    return bool(select.select([sys.stdin], [], [], 0.0)[0])


def main() -> None:
    """Run the writer; `recorder_node` gives the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rig", type=Path, required=True, help="the rig's YAML file")
    parser.add_argument("--ring", type=int, required=True, help="descriptor of the ring's memory")
    arguments = parser.parse_args()
    # Ctrl-C reaches the whole process group: the node says when to leave
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    WriterProcess(load_rig(arguments.rig), Ring(arguments.ring)).run()


if __name__ == "__main__":
    main()
