from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.errors import MessageError
from carp_ros.recording.event import EpisodeEvent, event_from_json
from carp_ros.types import Wish

wishes = st.sampled_from(get_args(Wish))


@given(wishes, st.text())
def test_a_wish_survives_the_message(wish, by):
    assert event_from_json(EpisodeEvent(wish, by).to_json()) == EpisodeEvent(wish, by)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("start", "expected JSON"),
        ("[]", "expected JSON"),
        ('{"schema": 1}', "expected JSON"),
        ('{"schema": 2, "event": "start"}', "schema 2"),
        ('{"schema": 1, "event": "explode"}', "expected one of start, stop"),
    ],
)
def test_what_is_no_wish_is_refused_with_the_reason(text, reason):
    with pytest.raises(MessageError, match=reason):
        event_from_json(text)
