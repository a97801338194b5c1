"""Tests for reports/json_report.py: what is told is what is read, and nothing else is."""

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carp_ros.errors import MessageError
from carp_ros.reports.check import CheckCode, CheckLine, CheckReport, Verdict
from carp_ros.reports.control import ChunkStart, ControlStatus, Fault, Reason, Source
from carp_ros.reports.first_motion import (
    Figure,
    FirstMotionReport,
    Outcome,
    StepName,
    StepReport,
)
from carp_ros.reports.json_report import report_from_json, report_to_json
from carp_ros.reports.recorder import Phase, RecorderStatus

STATUSES = st.builds(
    ControlStatus,
    source=st.sampled_from(Source),
    enabled=st.booleans(),
    reason=st.sampled_from(Reason),
    reason_text=st.text(),
    fault=st.sampled_from(Fault),
    fault_text=st.text(),
    moving=st.booleans(),
)
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1)
STATUS = ControlStatus(Source.HOLD, False, Reason.STOPPED, "why", Fault.TRACKING, "how", True)


@given(STATUSES)
def test_a_status_comes_back_as_it_was_told(status):
    assert report_from_json(ControlStatus, report_to_json(status), "control/status") == status


@given(st.builds(ChunkStart, stamp_ns=NUMBERS, begun_ns=NUMBERS, late_ns=NUMBERS))
def test_a_followed_chunk_comes_back_as_it_was_told(followed):
    assert report_from_json(ChunkStart, report_to_json(followed), "control/followed") == followed


@given(
    st.builds(
        RecorderStatus,
        phase=st.sampled_from(get_args(Phase)),
        folder=st.text(),
        verdict=st.sampled_from(("unknown", "green", "amber", "red")),
        reasons=st.lists(st.text()).map(tuple),
        seconds=st.floats(0, 1e6),
        received=st.dictionaries(st.text(), st.integers(0, 10**9)),
        lost=st.integers(0, 10**9),
        success=st.sampled_from((True, False, None)),
    )
)
def test_what_a_recorder_tells_comes_back_as_it_was_told(said):
    assert report_from_json(RecorderStatus, report_to_json(said), "recorder/quality") == said


@given(
    st.builds(
        CheckReport,
        lines=st.lists(
            st.builds(CheckLine, verdict=st.sampled_from(Verdict), code=st.sampled_from(CheckCode))
        ).map(tuple),
    )
)
def test_the_lines_of_a_check_come_back_as_they_were_told(report):
    assert report_from_json(CheckReport, report_to_json(report), "carp check") == report


BOUNDS = st.none() | st.floats(-1e6, 1e6)
FIGURES = st.builds(Figure, value=st.floats(-1e6, 1e6), at_least=BOUNDS, at_most=BOUNDS)


@given(
    st.builds(
        FirstMotionReport,
        steps=st.lists(
            st.builds(
                StepReport,
                step=st.sampled_from(StepName),
                outcome=st.sampled_from(Outcome),
                figures=st.lists(FIGURES).map(tuple),
            )
        ).map(tuple),
    )
)
def test_a_first_motion_comes_back_as_it_was_told(report):
    assert report_from_json(FirstMotionReport, report_to_json(report), "first motion") == report
    passed = {step.step for step in report.steps if step.outcome is Outcome.PASSED}
    assert set(report.missing) == set(StepName) - passed


@given(FIGURES)
def test_a_figure_is_expected_within_its_bounds_alone(figure):
    below = figure.at_least is not None and figure.value < figure.at_least
    above = figure.at_most is not None and figure.value > figure.at_most
    assert figure.is_expected == (not below and not above)


def test_codes_cross_as_names_and_the_schema_is_told():
    content = json.loads(report_to_json(STATUS))

    assert (content["schema"], content["source"]) == (1, "HOLD")
    assert (content["reason"], content["fault"]) == ("STOPPED", "TRACKING")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema is 2; expected 1"),
        ({"schema": None}, "schema is None; expected 1"),
        ({"schema": True}, "schema is True; expected 1"),
        ({"reason": "BORED"}, "reason is 'BORED'; expected one of NONE, NOT_ENABLED"),
        ({"reason": 3}, "reason is 3; expected one of"),
        ({"fault": "none"}, "fault is 'none'; expected one of NONE"),
        ({"enabled": 1}, "enabled is 1; expected a bool"),
        ({"more": 1}, "unknown key 'more'"),
    ],
)
def test_what_no_control_node_tells_is_refused_with_topic_and_key(change, said):
    text = json.dumps({**json.loads(report_to_json(STATUS)), **change})

    with pytest.raises(MessageError) as caught:
        report_from_json(ControlStatus, text, "control/status")
    assert str(caught.value).startswith("control/status")
    assert said in str(caught.value)


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(ControlStatus)])
def test_what_lacks_a_key_is_refused_by_name(name):
    content = json.loads(report_to_json(STATUS))
    del content[name]

    with pytest.raises(MessageError, match=f"key '{name}' is missing"):
        report_from_json(ControlStatus, json.dumps(content), "control/status")


@given(st.text())
def test_any_other_text_is_refused(text):
    with pytest.raises(MessageError):
        report_from_json(ControlStatus, text, "control/status")
