import dataclasses
import sys
from pathlib import Path

import pytest

from carp_ros.benchmarks.bench_process import BundleCase, PeerCase, Started
from carp_ros.benchmarks.peers import peer_cases
from carp_ros.benchmarks.policy_bench import CaseFigures, measure_cases
from carp_ros.errors import DeviceError

from ..tiny_bundle import write_tiny_bundle


def test_every_case_is_measured_in_a_process_of_its_own(tiny_bundle):
    done = []
    cases = [BundleCase(tiny_bundle), BundleCase(tiny_bundle, threads=2)]
    figures = measure_cases(cases, chunks=5, a_turn=2, progress=done.append)
    assert done == [2, 4, 5]
    assert [row.case for row in figures] == cases
    for row in figures:
        assert row.started.seconds > 0.0
        assert row.peak_gflop_s > 0.0
        assert row.chunks == 5
        for stage in ("preprocess", "vision", "decode", "total"):
            times = row.stages_ms[stage]
            assert 0.0 < times["p50"] <= times["p99"] <= times["max"]
        assert row.started.gflop is row.share_of_floor is None  # made by hand, it does not say


def test_the_floor_is_what_products_at_the_peak_would_take(tiny_bundle):
    stages = {"total": {"p50": 4.0, "p99": 5.0, "max": 6.0}}
    row = CaseFigures(BundleCase(tiny_bundle), Started(1.0, gflop=0.1), 9, stages, 50.0)
    assert row.share_of_floor == pytest.approx(0.5)  # 0.1 GFLOP at 50 GFLOP/s are 2 of 4 ms
    assert row.chunks_a_s == pytest.approx(250.0)
    assert dataclasses.replace(row, started=Started(1.0)).share_of_floor is None
    assert dataclasses.replace(row, peak_gflop_s=None).share_of_floor is None


def test_a_bundle_that_can_not_be_loaded_says_why(tmp_path):
    folder = write_tiny_bundle(tmp_path / "tiny")
    (folder / "scale_1.onnx").write_bytes(b"not the one")
    with pytest.raises(ValueError, match=r"scale_1\.onnx has SHA-256"):
        measure_cases([BundleCase(folder)], chunks=1)


@pytest.mark.parametrize(("bundles", "chunks"), [(0, 5), (1, 0)])
def test_nothing_to_measure_is_refused(tiny_bundle, bundles, chunks):
    with pytest.raises(ValueError, match=f"{bundles} cases, {chunks} chunks of each; expected 1"):
        measure_cases([BundleCase(tiny_bundle)] * bundles, chunks)


PEER = """
import json, sys
print("a library's own words", file=sys.stderr)
print(json.dumps({"parameters": 7, "seconds": 0.5}), flush=True)
for number, line in enumerate(sys.stdin):
    if number == LAST: sys.exit("out of memory")
    print(json.dumps([0.001 * (number + 1)] * int(line)), flush=True)
"""


def peer(tmp_path, last=-1, most=0):
    script = tmp_path / "peer.py"
    script.write_text(PEER.replace("LAST", str(last)))
    return PeerCase("somebody's", (sys.executable, str(script)), most)


def test_a_peer_takes_its_turn_between_ours(tiny_bundle, tmp_path):
    ours, theirs = measure_cases([BundleCase(tiny_bundle), peer(tmp_path)], chunks=5, a_turn=2)
    assert (ours.chunks, theirs.chunks) == (5, 5)
    assert theirs.started == Started(0.5, None, 7)
    # of the turns of 2, 2 and 1
    assert theirs.stages_ms == {"total": {"p50": 2.0, "p99": 2.96, "max": 3.0}}
    assert theirs.share_of_floor is None


def test_a_slow_peer_is_measured_as_often_as_it_says(tiny_bundle, tmp_path):
    cases = [BundleCase(tiny_bundle), peer(tmp_path, most=3)]
    ours, theirs = measure_cases(cases, chunks=10, a_turn=2)
    assert (ours.chunks, theirs.chunks) == (10, 3)


def test_a_peer_that_ends_says_why(tmp_path):
    with pytest.raises(DeviceError, match="somebody's ended: out of memory; make its environment"):
        measure_cases([peer(tmp_path, last=1)], chunks=4, a_turn=2)
    missing = PeerCase("nobody's", (sys.executable, str(tmp_path / "none.py")))
    with pytest.raises(DeviceError, match=r"nobody's ended: .*No such file"):
        measure_cases([missing], chunks=1)


def test_every_peer_is_named_once_and_with_its_size(tmp_path):
    cases = peer_cases(Path("python"), Path("peer.py"), tmp_path)
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    for what in ("state", "2 cameras"):
        assert f"published CARP, {what}" in names
        assert f"Diffusion Policy 64-128-256 DDPM 100, {what}" in names
    unpublished = peer_cases(Path("python"), Path("peer.py"), None)
    assert len(unpublished) == len(cases) - 2
