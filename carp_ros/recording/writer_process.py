"""The recorder's writer process: a slow disk delays only this process.

Imports no ROS. Reads commands and messages, in their original order, from a ring that
`recorder_node` fills, and answers with JSON lines on its standard output. When the node is gone, it
writes what is left in the ring, flushes it to disk and ends.
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
from carp_ros.processes.ring import Ring
from carp_ros.recording.bag import read_info, write_info
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.recording.live_episode import LiveEpisode, sources
from carp_ros.rig import Rig, load_rig

ITEM = struct.Struct("<iq")
"""Precedes each message: index of its topic among `sources`, time of receipt in [ns]."""
COMMAND = -1
"""In place of the topic's index: the item is a command in JSON."""

_FLUSH_EVERY_S = 1.0
_IDLE_S = 0.01


class WriterProcess:
    """Empties the ring until the node tells it to leave or is gone.

    Args:
        rig: The rig that is recorded.
        ring: The source of commands and messages.
    """

    def __init__(self, rig: Rig, ring: Ring) -> None:
        self._rig = rig
        self._ring = ring
        self._topics = [topic.name for topic in sources(rig)]
        self._episode: LiveEpisode | None = None
        self._folder = Path()
        self._last_ns = 0
        self._flush_at_s = 0.0
        self._leave = False

    def run(self) -> None:
        """Process the ring until told to leave, or until the node is gone."""
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
        number, self._last_ns = ITEM.unpack_from(item)
        content = item[ITEM.size :]
        if number == COMMAND:
            command = json.loads(content)
            folder = Path(command.get("folder", self._folder))
            try:
                self._obey(command, folder)
            except (DeviceError, ValueError) as error:
                self._fail(folder, str(error))
        elif self._episode is not None:
            try:
                self._episode.write(self._topics[number], self._last_ns, content)
            except DeviceError as error:  # an invalid message only affects the verdict
                self._fail(self._folder, str(error))

    def _obey(self, command: dict[str, Any], folder: Path) -> None:
        what = command["do"]
        if what == "exit":
            self._leave = True
        elif what == "start":
            self._start(folder, command)
        elif what == "discard":
            self._discard(folder)
        elif what == "label":
            self._label(folder, command["success"])
        elif what == "tick" and self._episode is not None:
            self._tick(self._episode, command["lost"])
        elif what == "finish" and self._episode is not None:
            self._finish(self._episode)

    def _start(self, folder: Path, command: dict[str, Any]) -> None:
        info = EpisodeInfo.from_texts(command["info"], "recorder_node")
        self._folder = folder
        self._episode = LiveEpisode(folder, self._rig, info, command["images"])
        self._flush_at_s = time.monotonic() + _FLUSH_EVERY_S
        self._answer("started", folder)

    def _tick(self, episode: LiveEpisode, lost: int) -> None:
        episode.take_loss(lost)
        quality = episode.quality(self._last_ns)
        content = {"size_bytes": episode.size_bytes, **dataclasses.asdict(quality)}
        self._answer("live", episode.folder, **content)

    def _finish(self, episode: LiveEpisode) -> None:
        quality = episode.finish(self._last_ns)
        self._episode = None
        content = {"size_bytes": episode.size_bytes, **dataclasses.asdict(quality)}
        self._answer("finished", episode.folder, success=episode.info.success, **content)

    def _discard(self, folder: Path) -> None:
        if self._episode is not None and self._episode.folder == folder:
            episode, self._episode = self._episode, None
            episode.discard()
        elif folder.exists():
            shutil.rmtree(folder)
        self._answer("discarded", folder)

    def _label(self, folder: Path, success: bool) -> None:
        if self._episode is not None and self._episode.folder == folder:
            self._episode.label(success)
        else:
            write_info(folder, dataclasses.replace(read_info(folder), success=success))
        self._answer("labelled", folder, success=success)

    def _flush_when_due(self) -> None:
        if self._episode is None or time.monotonic() < self._flush_at_s:
            return
        try:
            self._episode.flush()
        except DeviceError as error:
            self._fail(self._folder, str(error))
            return
        self._flush_at_s = time.monotonic() + _FLUSH_EVERY_S

    def _fail(self, folder: Path, reason: str) -> None:
        """Abandon an episode; what was flushed can be recovered."""
        if folder == self._folder:
            self._episode = None
        self._answer("failed", folder, verdict="red", reasons=[reason])

    def _answer(self, event: str, folder: Path, **content: Any) -> None:
        line = json.dumps({"event": event, "folder": str(folder), **content})
        try:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            # the node is gone: nobody reads our answers, but the ring must still be written
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _is_alone() -> bool:
    """Return whether the node has closed our standard input, on which it never writes."""
    return bool(select.select([sys.stdin], [], [], 0.0)[0])


def main() -> None:
    """Run the writer; `recorder_node` gives the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rig", type=Path, required=True, help="the rig's YAML file")
    parser.add_argument("--rig-sha256", default="", help="of that file; another is refused")
    parser.add_argument("--ring", type=int, required=True, help="descriptor of the ring's memory")
    arguments = parser.parse_args()
    # Ctrl-C reaches the whole process group, but the node decides when to leave
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    WriterProcess(load_rig(arguments.rig, arguments.rig_sha256), Ring(arguments.ring)).run()


if __name__ == "__main__":
    main()
