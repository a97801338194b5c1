"""`carp bench --what path` with the tiny policy: every plan's parts add up to the whole."""

import json
import sys

import pytest

from carp_ros.benchmarks import path as bench_path

from ..patience import on_a_busy_machine

pytestmark = pytest.mark.realtime


def test_the_way_of_each_plan_is_measured_part_by_part(
    rig_path, tiny_bundle, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "argv", ["carp", "bench"])
    report = tmp_path / "path.json"
    measured = on_a_busy_machine(
        lambda: bench_path.measure_path(rig_path, str(tiny_bundle), 3.0, report)
    )
    assert measured == 0
    content = json.loads(report.read_text())
    assert 10 <= content["followed"] <= content["plans"] <= 20  # five a second
    stages_ms = content["stages_ms"]
    names = ("transport", "wait", "preprocess", "vision", "decode", "schedule", "total")
    assert set(names) < set(stages_ms)
    for name in names:
        assert 0.0 <= stages_ms[name]["p50"] <= stages_ms[name]["p99"] < 500.0
    # medians of parts need not add up to the whole's median, but nearly do
    assert content["sum_of_parts_ms"] == pytest.approx(stages_ms["total"]["p50"], rel=0.4)
    assert content["images_seen_before"] > 0.5
