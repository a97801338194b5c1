"""What no file of a rig or a bundle uses of the strict reader; the rest: test_rig, test_bundle."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from carp_ros.strict import Between, Otherwise, Unit, broken_rule, read_strictly


@dataclass(frozen=True)
class Choice:
    """One of two words."""

    kind: Literal["small", "large"]


def test_one_of_the_words_is_read():
    assert read_strictly(Choice, {"kind": "large"}, "file") == Choice("large")


def test_another_word_is_refused_with_those_that_are_expected():
    with pytest.raises(ValueError, match="file: kind is 'huge'; expected one of small, large"):
        read_strictly(Choice, {"kind": "huge"}, "file")


@dataclass(frozen=True)
class Circle:
    """Told apart by its `shape`."""

    shape: Literal["circle"]
    radius_m: Annotated[float, Between(0.0, 1.0)]


@dataclass(frozen=True)
class Square:
    """Told apart by its `shape`; its two lengths must be equal."""

    shape: Literal["square"]
    width_m: float
    height_m: float

    def contradictions(self) -> Iterator[str]:
        """Yield what may not be together."""
        if self.width_m != self.height_m:
            yield f"height_m is {self.height_m:g}; expected {self.width_m:g}"


@dataclass(frozen=True)
class Drawing:
    """One of two sections, and a direction."""

    part: Circle | Square
    direction: Annotated[tuple[float, float], Unit()] = (1.0, 0.0)


def test_a_section_of_several_kinds_is_read_by_its_tag():
    read = read_strictly(Drawing, {"part": {"shape": "circle", "radius_m": 1}}, "file")
    assert read.part == Circle("circle", 1.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"part": {"shape": "disc"}}, "part: shape is 'disc'; expected one of circle, square"),
        ({"part": {"radius_m": 1}}, "part: key 'shape' is missing; add it: circle, square"),
        ({"part": 3}, "part is 3; expected keys, shape among them"),
        ({"part": {"shape": ["circle"]}}, r"shape is \['circle'\]; expected one of"),
        ({"part": {"shape": "circle", "radius_m": 1.5}}, "radius_m is 1.5; expected 0 to 1"),
        (
            {"part": {"shape": "square", "width_m": 1, "height_m": 2}},
            "part: height_m is 2; expected 1",
        ),
        (
            {"part": {"shape": "circle", "radius_m": 1}, "direction": [1, 1]},
            "expected a length of 1, not 1.414",
        ),
    ],
)
def test_what_breaks_a_rule_is_refused_with_key_value_and_expectation(content, message):
    with pytest.raises(ValueError, match=rf"^file: .*{message}"):
        read_strictly(Drawing, content, "file")


def test_a_rule_is_asked_of_values_that_were_read_elsewhere():
    kind = Annotated[float, Between(0.0, 1.0)] | None
    assert [broken_rule(kind, value) for value in (None, 0.5, 2.0)] == ["", "", "0 to 1"]


@dataclass(frozen=True)
class Outline:
    part: Annotated[Circle | Square, Otherwise("circle")]


def test_a_mapping_that_names_no_member_of_a_union_is_read_as_the_given_one():
    assert read_strictly(Outline, {"part": {"radius_m": 1}}, "file").part == Circle("circle", 1.0)
    square = {"part": {"shape": "square", "width_m": 1, "height_m": 1}}
    assert isinstance(read_strictly(Outline, square, "file").part, Square)
    with pytest.raises(ValueError, match="unknown key 'width_m'"):
        read_strictly(Outline, {"part": {"width_m": 1}}, "file")
    with pytest.raises(ValueError, match="part is 3; expected keys, shape among them"):
        read_strictly(Outline, {"part": 3}, "file")
