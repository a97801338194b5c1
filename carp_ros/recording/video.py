"""Writes images to MP4 and reads them back, at a constant rate: frame k is at exactly k / rate s.

The codec is H.264, which every player and every GPU decodes. On rendered images of 320x240, AV1
(SVT-AV1, preset 8, crf 23) gave the same error at half the size, 1.5 kB a frame, for three times
the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace

from carp_ros.recording.video_segment import Segment
from carp_ros.recording.video_size import require_size
from carp_ros.refusal import refusing

Image = npt.NDArray[np.uint8]

_HALF = 0.5 + 1e-6  # of a period: how far an image may be from its frame's time
_MOST_PIXELS = 1 << 24
_PIXEL_FORMAT = "yuv420p"
_ENCODER = "libx264"
# Groups of pictures are short (`g`): training reads frames in random order, and each read decodes
# its group from the start. Without B-frames (`bf`), packets are in order of time.
# The output must depend on the images alone, because a killed conversion is completed byte for
# byte. Hence one thread (episodes are converted in parallel anyway), and no macroblock tree
# (`mbtree`): with it, one file in some hundreds differed in its last macroblock, depending on
# earlier contents of the heap.
_OPTIONS = {
    "crf": "18",
    "preset": "veryfast",
    "g": "4",
    "bf": "0",
    "threads": "1",
    "mbtree": "0",
}


class VideoWriter:
    """Writes one MP4 file.

    Args:
        path: The file.
        width_px, height_px: Size of every image; even numbers.
        rate_hz: Frames per second.

    Raises:
        ValueError: If a size is odd.
    """

    def __init__(self, path: Path, width_px: int, height_px: int, rate_hz: int) -> None:
        require_size(width_px, height_px)
        self._container = av.open(str(path), "w", format="mp4")
        self._stream = self._container.add_stream(_ENCODER, rate=rate_hz, options=_OPTIONS)
        self._stream.width, self._stream.height = width_px, height_px
        self._stream.pix_fmt = _PIXEL_FORMAT
        self._stream.codec_context.time_base = Fraction(1, rate_hz)
        self._frames = 0

    def add(self, image: Image) -> None:
        """Add an image, RGB of shape (H, W, 3)."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = frame.reformat(format=_PIXEL_FORMAT, dst_colorspace=Colorspace.ITU601, threads=1)
        frame.pts = self._frames
        frame.time_base = self._stream.codec_context.time_base
        self._frames += 1
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Flush the encoder and finish the file, which is not a valid video before."""
        if self._frames:
            self._container.mux(self._stream.encode(None))
        self._container.close()


def join_videos(parts: Sequence[Path], path: Path, rate_hz: int) -> None:
    """Concatenate videos into one file without encoding them again.

    Args:
        parts: Videos of `VideoWriter` with the same size and rate.
        path: The file to write.
        rate_hz: Their rate.
    """
    with av.open(str(path), "w", format="mp4") as joined:
        stream = None
        frames = 0
        for part in parts:
            with av.open(str(part)) as container:
                source = container.streams.video[0]
                stream = stream or joined.add_stream_from_template(source, opaque=True)
                for packet in container.demux(source):
                    if packet.size == 0:  # marks the end of the stream
                        continue
                    packet.stream = stream
                    packet.time_base = Fraction(1, rate_hz)
                    packet.pts = packet.dts = frames
                    packet.duration = 1
                    joined.mux(packet)
                    frames += 1


def read_video(path: Path) -> Iterator[Image]:
    """Yield the images of a video, RGB of shape (H, W, 3).

    Raises:
        ValueError: If it can't be decoded.
    """
    with _opened(path) as container:
        for frame in container.decode(video=0):
            yield _image(frame)


def read_frame(path: Path, index: int) -> Image:
    """Return one image of a video, RGB of shape (H, W, 3).

    Raises:
        ValueError: If the video has fewer images, or this one can't be decoded.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        assert stream.average_rate is not None
        wanted = round(index / stream.average_rate / stream.time_base)
        container.seek(wanted, stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts >= wanted:
                return _image(frame)
    raise ValueError(f"{path} has no frame {index}; was it cut off? Convert the dataset anew")


def check_video(path: Path, frames: int, size_px: tuple[int, int], rate_hz: int) -> None:
    """Check a video's number of images, their size and their spacing, without decoding them.

    Raises:
        ValueError: If one of them is wrong, or it is no video.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        found_px = (stream.width, stream.height)
        if found_px != size_px or stream.average_rate != rate_hz:
            raise ValueError(
                f"its images are of {found_px} px at {stream.average_rate} Hz; expected {size_px}"
                f" px at {rate_hz} Hz"
            )
        assert stream.time_base is not None
        pts = [packet.pts for packet in container.demux(stream) if packet.size]
        expected = [round(k / rate_hz / stream.time_base) for k in range(frames)]
        if pts != expected:
            raise ValueError(
                f"it has {len(pts)} images; expected {frames}, one each {1 / rate_hz:.3f} s"
            )


@dataclass(frozen=True)
class VideoContent:
    """What a video holds, known without decoding it.

    Attributes:
        path: The file.
        width_px, height_px: Size of its images.
        times_s: Their times in [s], ascending, of shape (N,).
    """

    path: Path
    width_px: int
    height_px: int
    times_s: npt.NDArray[np.float64]

    def require_images(self, start_s: float, length: int, fps: float) -> None:
        """Check that there is an image for each frame of an episode.

        Raises:
            ValueError: If images are missing.
        """
        wanted_s = start_s + np.arange(length) / fps
        around_s = np.concatenate([[-np.inf], self.times_s, [np.inf]])
        after = np.searchsorted(around_s, wanted_s)
        off_s = np.minimum(around_s[after] - wanted_s, wanted_s - around_s[after - 1])
        there = int((off_s <= _HALF / fps).sum())
        if there < length:
            raise ValueError(
                f"{self.path} has {there} of {length} images from {start_s:.3f} s on; was it cut"
                " off?"
            )


def video_content(path: Path) -> VideoContent:
    """Return what a video holds.

    Raises:
        ValueError: If it is no video.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        pts = [packet.pts for packet in container.demux(stream) if packet.size]
        times_s = np.array([float(k * stream.time_base) for k in pts if k is not None])
        times_s.sort()
        return VideoContent(path, stream.width, stream.height, times_s)


def read_segment(segment: Segment, length: int, fps: float) -> Iterator[Image]:
    """Yield an episode's images, each the one nearest to its frame's time.

    Args:
        segment: The episode's part of the video.
        length: The number of images, one per period.
        fps: Frames per second.

    Raises:
        ValueError: If one is missing or can't be decoded.
    """
    with _opened(segment.path) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        stream.thread_type = "AUTO"
        first = max(0, round((segment.start_s - 0.5 / fps) / stream.time_base))
        container.seek(first, stream=stream)
        done = 0
        for before, after in _neighbours(container.decode(stream)):
            while done < length:
                wanted_s = segment.start_s + done / fps
                if after is not None and after.time < wanted_s:
                    break
                near = _nearest(before, after, wanted_s)
                if near is None or abs(near.time - wanted_s) > _HALF / fps:
                    raise ValueError(f"has no image for frame {done}; expected {length}")
                yield _image(near)
                done += 1
            if done == length:
                return


def _neighbours(frames: Iterable[av.VideoFrame]) -> Iterator[tuple[Any, Any]]:
    """Yield each two frames that follow one another, None before the first and after the last."""
    before = None
    for frame in frames:
        if frame.time is not None:
            yield before, frame
            before = frame
    yield before, None


def _nearest(before: Any, after: Any, wanted_s: float) -> Any:
    """Return the frame nearer to a time, None if there is none."""
    if before is None or after is None:
        return after or before
    return before if wanted_s - before.time < after.time - wanted_s else after


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a video; errors in the block are raised as `ValueError` with its path."""
    with refusing(ValueError, str(path)):
        if not path.is_file():  # opening a pipe would block forever
            raise ValueError("is no file; expected a video: convert or copy the dataset anew")
        # `file:` and the format, as others, such as playlists, name further files to be read
        with av.open(f"file:{path}", format="mp4") as container:
            if not container.streams.video:
                raise ValueError("holds no video")
            container.streams.video[0].codec_context.options = {"max_pixels": str(_MOST_PIXELS)}
            yield container


def video_info(path: Path) -> dict[str, str | int | bool]:
    """Return a video's entry in `info.json`."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.average_rate is not None
        return {
            "video.height": stream.height,
            "video.width": stream.width,
            "video.codec": stream.codec.canonical_name,
            "video.pix_fmt": str(stream.pix_fmt),
            "video.is_depth_map": False,
            "video.fps": int(stream.average_rate),
            "video.channels": 3,
            "has_audio": False,
        }


def _image(frame: av.VideoFrame) -> Image:
    if frame.is_corrupt:
        raise ValueError(
            f"the image at {frame.time} s is damaged; convert or copy the dataset anew"
        )
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
