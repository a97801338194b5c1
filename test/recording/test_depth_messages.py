"""Tests for recording/depth_messages.py: depth is recorded number for number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from carp_ros.errors import MessageError
from carp_ros.recording import messages
from carp_ros.recording.depth_messages import compress_depth, decode_depth

STAMP_NS = 1_700_000_000_123_456_789


def depth_message(depth, encoding="16UC1", *, big=0, more=0, height=None):
    rows, columns = depth.shape
    template = messages.decode(
        messages.IMAGE, messages.encode_image(np.zeros((1, 1, 3), np.uint8), STAMP_NS, "cam")
    )
    order = ">u2" if big else "<u2"
    padded = np.zeros((rows, columns + more), order)
    padded[:, :columns] = depth
    return messages.encode(
        messages.IMAGE,
        header=template.header,
        height=rows if height is None else height,
        width=columns,
        encoding=encoding,
        is_bigendian=big,
        step=2 * (columns + more),
        data=np.frombuffer(padded.tobytes(), np.uint8),
    )


@given(
    arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=20)),
    st.booleans(),
    st.integers(0, 3),
)
def test_every_number_survives_in_both_forms(depth, big, more):
    raw = depth_message(depth, big=int(big), more=more)
    small = compress_depth(raw)

    assert np.array_equal(decode_depth(messages.IMAGE, raw), depth)
    assert np.array_equal(decode_depth(messages.JPEG, small), depth)
    assert messages.stamp_ns(messages.JPEG, small) == STAMP_NS


def test_the_form_is_that_of_image_transport():
    msg = messages.decode(messages.JPEG, compress_depth(depth_message(np.ones((4, 6), np.uint16))))

    assert msg.format == "16UC1; compressedDepth png"
    assert bytes(msg.data[12:16]) == b"\x89PNG"


@pytest.mark.parametrize(
    ("cdr", "said"),
    [
        (depth_message(np.ones((2, 2), np.uint16), "rgb8"), "encoded as 'rgb8'; expected 16UC1"),
        (depth_message(np.ones((2, 2), np.uint16), height=9), "2x9 px holds 8 bytes"),
        (depth_message(np.ones((2, 2), np.uint16), height=0), "2x0 px"),
    ],
)
def test_what_is_no_depth_is_refused(cdr, said):
    with pytest.raises(MessageError, match=said):
        compress_depth(cdr)


def test_a_compressed_image_of_another_kind_is_no_depth():
    jpeg = messages.encode_jpeg(np.zeros((4, 4, 3), np.uint8), STAMP_NS, "cam")
    with pytest.raises(MessageError, match="compressedDepth png"):
        decode_depth(messages.JPEG, jpeg)
