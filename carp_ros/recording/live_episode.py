"""One episode while it is recorded: written and judged, message by message."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from pathlib import Path
from typing import Literal

from carp_ros.errors import MessageError
from carp_ros.recording.bag import BagWriter
from carp_ros.recording.episode import EpisodeInfo, Topic, topics
from carp_ros.recording.message_judge import MessageJudge
from carp_ros.recording.messages import IMAGE, Picture, decode, decode_image, encode_jpeg, stamp_ns
from carp_ros.recording.quality import Quality
from carp_ros.refusal import refusing
from carp_ros.rig import Rig

Images = Literal["jpeg", "raw"]

# A stamp of zero or of another year would make all that follows look old.
_FARTHEST_NS = 60_000_000_000


def sources(rig: Rig) -> tuple[Topic, ...]:
    """Return the topics that are listened to, of which `LiveEpisode` makes those it writes."""
    return topics(tuple(rig.cameras), compressed=False)


class LiveEpisode:
    """Writes and judges one episode.

    Args:
        folder: Of the episode; made here.
        rig: What is recorded.
        info: What is known so far.
        images: Whether pictures are compressed on the way.

    Raises:
        ValueError: If the folder exists.
        DeviceError: If the disk does not take it.
    """

    def __init__(self, folder: Path, rig: Rig, info: EpisodeInfo, images: Images) -> None:
        self.folder = folder
        self.info = info
        self._compress = images == "jpeg"
        self._kinds = {topic.name: topic.type for topic in sources(rig)}
        self._judge = MessageJudge(rig, info.started_ns)
        written = topics(tuple(rig.cameras), compressed=self._compress)
        self._writer = BagWriter(folder, written, info)

    def write(self, topic: str, received_ns: int, cdr: bytes) -> None:
        """Add a message of one of the `sources`, received at `received_ns`.

        One that is stamped by no clock of this system is left out, which the verdict says.

        Raises:
            DeviceError: If the disk takes no more; the episode is then over, and recoverable.
        """
        kind = self._kinds[topic]
        try:
            captured_ns = stamp_ns(kind, cdr)
            at_ns = received_ns if captured_ns is None else captured_ns
            if abs(at_ns - received_ns) > _FARTHEST_NS:
                raise MessageError(
                    f"stamped {(at_ns - received_ns) * 1e-9:+.0f} s from its arrival; expected at"
                    f" most {_FARTHEST_NS * 1e-9:.0f} s: is its clock set, and the stamp filled in?"
                )
            value = self._judge.take(topic, at_ns, received_ns, cdr)
            if not (kind == IMAGE and self._compress):
                self._writer.write(topic, at_ns, cdr)
            elif value is not None:
                self._write_jpeg(topic, at_ns, value, cdr)
            else:  # the judge has noted it; a picture of another size, say, is kept all the same
                with suppress(MessageError):
                    self._write_jpeg(topic, at_ns, decode_image(IMAGE, cdr), cdr)
        except MessageError as error:
            self._judge.take_unreadable(topic, str(error))

    def _write_jpeg(self, topic: str, at_ns: int, picture: Picture, cdr: bytes) -> None:
        with refusing(MessageError, topic):
            jpeg = encode_jpeg(picture, at_ns, decode(IMAGE, cdr).header.frame_id)
        self._writer.write(f"{topic}/compressed", at_ns, jpeg)

    def take_loss(self, messages: int) -> None:
        """Take note of messages that could not be written."""
        self._judge.take_loss(messages)

    def label(self, success: bool) -> None:
        """Say whether the task was done."""
        self.info = dataclasses.replace(self.info, success=success)

    def quality(self, now_ns: int) -> Quality:
        """Return how good the episode is, if it ends now."""
        return self._judge.quality(now_ns)

    def flush(self) -> None:
        """Make safe what was written so far.

        Raises:
            DeviceError: As `write` does.
        """
        self._writer.flush()

    def finish(self, now_ns: int) -> Quality:
        """Complete the episode, with its verdict.

        Raises:
            DeviceError: As `write` does.
        """
        quality = self.quality(now_ns)
        self.info = dataclasses.replace(self.info, verdict=quality.verdict, reasons=quality.reasons)
        self._writer.finish(self.info)
        return quality

    def discard(self) -> None:
        """Remove the episode."""
        self._writer.discard()

    @property
    def size_bytes(self) -> int:
        """How much disk it takes so far."""
        return sum(file.stat().st_size for file in self.folder.iterdir())
