"""Finds what is wrong with a camera's images as pictures: black, saturated, blurred or frozen."""

from __future__ import annotations

from enum import Enum

import cv2
import numpy as np
import numpy.typing as npt

_Image = npt.NDArray[np.uint8]

_WINDOW = 30  # images
_WIDTH_PX = 160  # at which an image is judged: sensor noise is averaged out
_SHARP_PX = 320  # width at which sharpness is judged: what a policy sees is hardly larger
_DARK, _BRIGHT = 16, 250  # of 255
_MOST_DARK = 0.98  # shares of an image
_MOST_BRIGHT = 0.5
_LEAST_SHARPNESS = 0.12
_LEAST_CONTRAST = 32  # of 255; the noise of a sensor in poor light has up to 20


class ImageFault(Enum):
    """A fault, with what it looks like and what to do."""

    BLACK = "nearly black: remove the lens cap, or give it light or a longer exposure"
    SATURATED = "half of it is white: shorten the exposure or lower the gain"
    BLURRED = "no sharp edge in it: focus and clean the lens, and see what is in front of it"
    FROZEN = "the same image again and again: unplug the camera and plug it in again"


def image_faults(image: _Image) -> tuple[ImageFault, ...]:
    """Return what is wrong with a single image.

    Args:
        image: RGB of shape (H, W, 3).
    """
    height_px, width_px, _ = image.shape
    size_px = (_WIDTH_PX, max(1, round(height_px * _WIDTH_PX / width_px)))
    small = cv2.resize(image, size_px, interpolation=cv2.INTER_AREA)
    brightest = small.max(axis=2)
    if (brightest < _DARK).mean() > _MOST_DARK:
        return (ImageFault.BLACK,)
    if (small.min(axis=2) > _BRIGHT).mean() > _MOST_BRIGHT:
        return (ImageFault.SATURATED,)
    return (ImageFault.BLURRED,) if sharpness(image) < _LEAST_SHARPNESS else ()


def sharpness(image: _Image) -> float:
    """Return how steep the steepest edges are: the share of the image's contrast in a pixel of 320.

    About 0.6 for a focused image and 0.1 for one that is blurred by 3 of 320 px (standard
    deviation); 0 if there is no contrast beyond noise. A few sharp objects in front of a plain wall
    suffice, as only the steepest thousandth of the pixels counts.

    Args:
        image: RGB of shape (H, W, 3).
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    size_px = (_SHARP_PX, max(2, round(grey.shape[0] * _SHARP_PX / grey.shape[1])))
    grey = cv2.resize(grey, size_px, interpolation=cv2.INTER_AREA).astype(np.float32)
    darkest, brightest = np.percentile(grey, (0.1, 99.9))
    if brightest - darkest < _LEAST_CONTRAST:
        return 0.0
    steps = (np.abs(np.diff(grey, axis=axis)) for axis in (0, 1))
    return float(max(np.percentile(step, 99.9) for step in steps) / (brightest - darkest))


class ImageWatch:
    """Judges the images of one camera, a second's worth at a time.

    Args:
        has_noise: Whether two images of one scene differ, so that equal ones mean a frozen camera.

    Attributes:
        faults: Of the last second's worth of images.
        judged: Whether there was a second's worth yet.
    """

    def __init__(self, *, has_noise: bool) -> None:
        self._has_noise = has_noise
        self._first: _Image | None = None
        self._count = 0
        self._changed = False
        self.faults: tuple[ImageFault, ...] = ()
        self.judged = False

    def take(self, image: _Image) -> None:
        """Add an image; every thirtieth updates `faults`.

        Args:
            image: RGB of shape (H, W, 3).
        """
        sparse = image[::8, ::8]
        if self._first is None:
            self._first = sparse.copy()
        elif not self._changed:
            self._changed = not np.array_equal(sparse, self._first)
        self._count += 1
        if self._count < _WINDOW:
            return
        frozen = self._has_noise and not self._changed
        self.faults = (*image_faults(image), *((ImageFault.FROZEN,) if frozen else ()))
        self.judged = True
        self._first, self._count, self._changed = None, 0, False


def in_sentences(faults: tuple[ImageFault, ...]) -> str:
    """Return the faults for people: `BLURRED (no sharp edge in it: ...)`."""
    return "; ".join(f"{fault.name} ({fault.value})" for fault in faults)
