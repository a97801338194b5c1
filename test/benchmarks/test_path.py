"""`carp bench --what path` with the tiny policy: every plan's parts add up to the whole."""

import pytest

from carp_ros.benchmarks.path import measure_path

from ..patience import on_a_busy_machine

pytestmark = pytest.mark.realtime


def test_the_way_of_each_plan_is_measured_part_by_part(rig_path, tiny_bundle):
    figures = on_a_busy_machine(lambda: measure_path(rig_path, str(tiny_bundle), 3.0))
    assert 10 <= figures.followed <= figures.plans <= 20  # five a second
    stages_ms = figures.stages_ms
    names = ("transport", "wait", "preprocess", "vision", "decode", "schedule", "total")
    assert set(names) < set(stages_ms)
    for name in names:
        assert 0.0 <= stages_ms[name]["p50"] <= stages_ms[name]["p99"] < 500.0
    # medians of parts need not add up to the whole's median, but nearly do
    assert figures.sum_of_parts_ms == pytest.approx(stages_ms["total"]["p50"], rel=0.4)
    assert figures.images_seen_before > 0.5
