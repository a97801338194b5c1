"""Video files for tests, whose images say which one they are."""

from pathlib import Path

import av
import numpy as np

WIDTH_PX, HEIGHT_PX = 64, 48
_STEP = 12  # between the grey values of two images: lossy coding does not bridge it


def write_video(path: Path, images: int, rate_hz: int = 30, size_px=(WIDTH_PX, HEIGHT_PX)) -> Path:
    """Write a Motion JPEG file of plain images, each brighter than the one before."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=rate_hz)
        stream.width, stream.height = size_px
        stream.pix_fmt = "yuvj420p"
        for number in range(images):
            grey = np.full((size_px[1], size_px[0], 3), _STEP * number, np.uint8)
            grey[:, : size_px[0] // 2, 0] += 100  # red on the left: the order of colours shows
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def number_of(image) -> int:
    """Return which image of the file this is, from 0."""
    return round(float(image[:, WIDTH_PX // 2 + 8 :].mean()) / _STEP)
