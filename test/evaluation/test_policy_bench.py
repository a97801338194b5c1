import dataclasses

import pytest

from carp_ros.evaluation.policy_bench import Case, CaseFigures, measure_cases

from ..tiny_bundle import write_tiny_bundle


def test_every_case_is_measured_in_a_process_of_its_own(tiny_bundle):
    done = []
    cases = [Case(tiny_bundle), Case(tiny_bundle, threads=2)]
    figures = measure_cases(cases, chunks=5, a_turn=2, progress=done.append)
    assert done == [2, 4, 5]
    assert [row.case for row in figures] == cases
    for row in figures:
        assert row.start_s > 0.0
        assert row.peak_gflop_s > 0.0
        for stage in ("preprocess", "vision", "decode", "total"):
            times = row.stages_ms[stage]
            assert 0.0 < times["p50"] <= times["p99"] <= times["max"]
        assert row.gflop is row.share_of_floor is None  # made by hand, it does not say


def test_the_floor_is_what_products_at_the_peak_would_take(tiny_bundle):
    stages = {"total": {"p50": 4.0, "p99": 5.0, "max": 6.0}}
    row = CaseFigures(Case(tiny_bundle), 1.0, 50.0, stages, 250.0, 0.1, 50.0)
    assert row.share_of_floor == pytest.approx(0.5)  # 0.1 GFLOP at 50 GFLOP/s are 2 of 4 ms
    assert dataclasses.replace(row, gflop=None).share_of_floor is None


def test_a_bundle_that_can_not_be_loaded_says_why(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    (folder / "scale_1.onnx").write_bytes(b"not the one")
    with pytest.raises(ValueError, match=r"scale_1\.onnx has SHA-256"):
        measure_cases([Case(folder)], chunks=1)


@pytest.mark.parametrize(("bundles", "chunks"), [(0, 5), (1, 0)])
def test_nothing_to_measure_is_refused(tiny_bundle, bundles, chunks):
    with pytest.raises(ValueError, match=f"{bundles} cases, {chunks} chunks of each; expected 1"):
        measure_cases([Case(tiny_bundle)] * bundles, chunks)
