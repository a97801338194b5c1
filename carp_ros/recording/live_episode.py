"""The episode being recorded: writes and judges it message by message."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from pathlib import Path
from typing import Literal

from carp_ros.errors import MessageError
from carp_ros.recording.bag import BagWriter
from carp_ros.recording.depth_messages import DEPTH, compress_depth
from carp_ros.recording.episode import EpisodeInfo, Topic, topics
from carp_ros.recording.message_judge import MessageJudge
from carp_ros.recording.messages import IMAGE, Image, decode, decode_image, encode_jpeg, stamp_ns
from carp_ros.recording.quality import Quality
from carp_ros.refusal import refusing
from carp_ros.rig import Rig
from carp_ros.rig_cameras import cameras_with_depth

ImageFormat = Literal["jpeg", "raw"]

# A stamp of zero or from another year would make all later messages look old.
_FARTHEST_NS = 60_000_000_000


def sources(rig: Rig) -> tuple[Topic, ...]:
    """Return the topics to subscribe to, from which `LiveEpisode` makes those it writes."""
    return topics(tuple(rig.cameras), compressed=False, depths=cameras_with_depth(rig.cameras))


class LiveEpisode:
    """Writes and judges one episode.

    Args:
        folder: The episode's folder, created here.
        rig: The rig that is recorded.
        info: What is known about the episode so far.
        images: Whether images are compressed while recording.

    Raises:
        ValueError: If the folder exists already.
        DeviceError: If the disk refuses the write.
    """

    def __init__(self, folder: Path, rig: Rig, info: EpisodeInfo, images: ImageFormat) -> None:
        self.folder = folder
        self.info = info
        self._compress = images == "jpeg"
        self._kinds = {topic.name: topic.type for topic in sources(rig)}
        self._judge = MessageJudge(rig, info.started_ns)
        self._depths = {f"/{name}/{DEPTH}": name for name in cameras_with_depth(rig.cameras)}
        written = topics(
            tuple(rig.cameras), compressed=self._compress, depths=cameras_with_depth(rig.cameras)
        )
        self._writer = BagWriter(folder, written, info)

    def write(self, topic: str, received_ns: int, cdr: bytes) -> None:
        """Write and judge a message on one of the `sources`, received at `received_ns` (ROS time).

        A message whose stamp is far from its arrival is dropped, which the verdict reports.

        Raises:
            DeviceError: If the disk refuses the write; the episode is then over, and recoverable.
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
            if topic in self._depths:
                self._judge.take_depth(self._depths[topic], at_ns, received_ns)
                self._write_depth(topic, at_ns, cdr)
                return
            value = self._judge.take(topic, at_ns, received_ns, cdr)
            if not (kind == IMAGE and self._compress):
                self._writer.write(topic, at_ns, cdr)
            elif value is not None:
                self._write_jpeg(topic, at_ns, value, cdr)
            else:  # judged invalid, for example of another size; it is recorded anyway
                with suppress(MessageError):
                    self._write_jpeg(topic, at_ns, decode_image(IMAGE, cdr), cdr)
        except MessageError as error:
            self._judge.take_unreadable(topic, str(error))

    def _write_jpeg(self, topic: str, at_ns: int, image: Image, cdr: bytes) -> None:
        with refusing(MessageError, topic):
            jpeg = encode_jpeg(image, at_ns, decode(IMAGE, cdr).header.frame_id)
        self._writer.write(f"{topic}/compressed", at_ns, jpeg)

    def _write_depth(self, topic: str, at_ns: int, cdr: bytes) -> None:
        """Write depth without loss: as it came, or as PNG."""
        if self._compress:
            with refusing(MessageError, topic):
                self._writer.write(f"{topic}/compressedDepth", at_ns, compress_depth(cdr))
        else:
            self._writer.write(topic, at_ns, cdr)

    def take_loss(self, messages: int) -> None:
        """Count messages that could not be written."""
        self._judge.take_loss(messages)

    def label(self, success: bool) -> None:
        """Set whether the task succeeded."""
        self.info = dataclasses.replace(self.info, success=success)

    def quality(self, now_ns: int) -> Quality:
        """Return the episode's quality if it ended now."""
        return self._judge.quality(now_ns)

    def flush(self) -> None:
        """Block until everything written so far is on disk.

        Raises:
            DeviceError: As `write` does.
        """
        self._writer.flush()

    def finish(self, now_ns: int) -> Quality:
        """Complete the episode and store its verdict.

        Raises:
            DeviceError: As `write` does.
        """
        quality = self.quality(now_ns)
        self.info = dataclasses.replace(self.info, verdict=quality.verdict, reasons=quality.reasons)
        self._writer.finish(self.info)
        return quality

    def discard(self) -> None:
        """Delete the episode."""
        self._writer.discard()

    @property
    def size_bytes(self) -> int:
        """The episode's size on disk so far."""
        return sum(file.stat().st_size for file in self.folder.iterdir())
