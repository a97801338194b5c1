"""Writes images to MP4 and reads them back, at a constant rate: frame k is at exactly k / rate s.

The codec is H.264, which every player and every GPU decodes. On rendered images of 320x240, AV1
(SVT-AV1, preset 8, crf 23) gave the same error at half the size, 1.5 kB a frame, for three times
the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


def check_segment(segment: Segment, length: int, fps: float) -> None:
    """Check that a video has all images of an episode, without decoding them.

    Raises:
        ValueError: If images are missing, or it is no video.
    """
    with _opened(segment.path) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        pts = [packet.pts for packet in container.demux(stream) if packet.size]
        times_s = np.array([float(k * stream.time_base) for k in pts if k is not None])
    wanted_s = segment.start_s + np.arange(length) / fps
    times_s.sort()
    next_s = np.append(times_s, np.inf)[np.searchsorted(times_s, wanted_s - 0.5 / fps)]
    there = int((next_s <= wanted_s + 0.5 / fps).sum())
    if there < length:
        raise ValueError(
            f"{segment.path} has {there} of {length} images from {segment.start_s:.3f} s on; was it"
            " cut off?"
        )


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
        for frame in container.decode(stream):
            if done == length:
                return
            if frame.time is None or frame.time < segment.start_s + (done - 0.5) / fps:
                continue
            if frame.time > segment.start_s + (done + 0.5) / fps:
                break
            yield _image(frame)
            done += 1
    if done < length:
        raise ValueError(f"{segment.path} has no image for frame {done}; expected {length}")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a video; errors in the block are raised as `ValueError` with its path."""
    with refusing(ValueError, str(path)):
        if not path.is_file():  # opening a pipe would block forever
            raise ValueError("is no file; expected a video: convert or copy the dataset anew")
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError("holds no video")
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
