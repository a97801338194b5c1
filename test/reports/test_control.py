"""Tests for reports/control.py: a reason as a service answers it, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.reports.control import Fault, Reason, Why, why_from_text


@given(st.builds(Why, st.sampled_from(Reason), st.text(), st.sampled_from(Fault)))
def test_a_reason_comes_back_from_what_a_service_answers(why):
    assert why_from_text(str(why)) == why


@pytest.mark.parametrize("answer", ["", "no fault stands", "BORED: nothing to do", "FAULT/ODD: x"])
def test_an_answer_that_names_no_reason_is_none(answer):
    assert why_from_text(answer) is None


def test_a_fault_is_named_with_its_kind():
    assert str(Why(Reason.FAULT, "blocked", Fault.TRACKING)) == "FAULT/TRACKING: blocked"
