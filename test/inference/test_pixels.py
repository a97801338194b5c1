"""Every encoding of a camera's rows becomes the same RGB, whatever pads the rows."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from carp_ros.errors import MessageError
from carp_ros.inference.pixels import rgb_from_msg

PACKED = {
    "rgb8": lambda rgb: rgb,
    "bgr8": lambda rgb: rgb[:, :, ::-1],
    "rgba8": lambda rgb: np.dstack([rgb, 255 - rgb[:, :, :1]]),
    "bgra8": lambda rgb: np.dstack([rgb[:, :, ::-1], 255 - rgb[:, :, :1]]),
}
images = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: arrays(np.uint8, (*size, 3))
)
paddings = st.integers(0, 9)
fast = settings(max_examples=60, deadline=None)


def decoded(data, encoding, height, width, step):
    return rgb_from_msg(
        SimpleNamespace(data=data, encoding=encoding, height=height, width=width, step=step)
    )


def rows_of(pixels: np.ndarray, padding: int) -> tuple[np.ndarray, int]:
    """Return the bytes of pixels of shape (H, W, channels), and the step from row to row."""
    rows = pixels.reshape(len(pixels), -1)
    rows = np.concatenate([rows, np.full((len(rows), padding), 99, np.uint8)], axis=1)
    return rows.reshape(-1), rows.shape[1]


@fast
@given(images, paddings, st.sampled_from(sorted(PACKED)))
def test_colours_come_back_as_they_were(image, padding, encoding):
    data, step = rows_of(PACKED[encoding](image), padding)
    back = decoded(data, encoding, *image.shape[:2], step)
    np.testing.assert_array_equal(back, image)


@fast
@given(images, paddings)
def test_grey_becomes_three_equal_channels(image, padding):
    data, step = rows_of(image[:, :, :1], padding)
    back = decoded(data, "mono8", *image.shape[:2], step)
    np.testing.assert_array_equal(back, image[:, :, [0, 0, 0]])


@fast
@given(st.integers(1, 9), st.integers(1, 9), paddings, st.integers(0, 2**32 - 1))
def test_yuv_422_is_decoded_as_the_standard_says(height, pairs, padding, seed):
    """By ITU-R BT.601's equations, in floating point; OpenCV rounds to within one level."""
    chance = np.random.default_rng(seed)
    yuyv = chance.integers(0, 256, (height, pairs, 4)).astype(np.uint8)
    data, step = rows_of(yuyv.reshape(height, 2 * pairs, 2), padding)
    back = decoded(data, "yuv422_yuy2", height, 2 * pairs, step)
    luma = np.maximum(yuyv[:, :, [0, 2]].astype(float) - 16, 0) * 255 / 219
    blue = (yuyv[:, :, 1:2] - 128.0) * 255 / 224
    red = (yuyv[:, :, 3:4] - 128.0) * 255 / 224
    expected = np.stack(
        [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], axis=-1
    ).reshape(height, 2 * pairs, 3)
    assert np.abs(np.clip(expected, 0, 255) - back).max() <= 1.5


@fast
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_a_smooth_image_survives_yuv_422(height, pairs, seed):
    """Where two pixels have one colour, only rounding is lost."""
    chance = np.random.default_rng(seed)
    pair = chance.integers(0, 256, (height, pairs, 1, 3)).astype(np.uint8)
    image = np.repeat(pair, 2, axis=2).reshape(height, 2 * pairs, 3)
    yuyv = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_YUY2)
    back = decoded(yuyv.reshape(-1), "yuv422_yuy2", height, 2 * pairs, 4 * pairs)
    assert np.abs(back.astype(int) - image).max() <= 4


def test_yuv_422_of_an_odd_width_is_refused():
    with pytest.raises(MessageError, match="is 3 px wide; expected an even width"):
        decoded(np.zeros(12, np.uint8), "yuv422_yuy2", 2, 3, 6)


@pytest.mark.parametrize("encoding", ["rgb8", "mono8", "bgra8", "yuv422_yuy2"])
def test_rows_that_are_cut_short_are_refused(encoding):
    with pytest.raises(MessageError, match="image of 4x2 px holds 31 bytes in rows of 16"):
        decoded(np.zeros(31, np.uint8), encoding, 2, 4, 16)
