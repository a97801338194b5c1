"""What no file of a rig or a bundle uses of the strict reader; the rest: test_rig, test_bundle."""

from dataclasses import dataclass
from typing import Literal

import pytest

from carp_ros.strict import read_strictly


@dataclass(frozen=True)
class Choice:
    """One of two words."""

    kind: Literal["small", "large"]


def test_one_of_the_words_is_read():
    assert read_strictly(Choice, {"kind": "large"}, "file") == Choice("large")


def test_another_word_is_refused_with_those_that_are_expected():
    with pytest.raises(ValueError, match="file: kind is 'huge'; expected one of small, large"):
        read_strictly(Choice, {"kind": "huge"}, "file")
