import json
import os

import pytest

from carp_ros.evaluation.report import heading, require_writable, success_summary, write_report


def test_a_report_says_how_its_figures_came_about(tmp_path):
    path = tmp_path / "new" / "r.json"
    content = {**heading(["carp", "eval"], "1.2.3"), **success_summary([True, True, False])}
    write_report(path, content)
    read = json.loads(path.read_text())
    assert read["command"] == ["carp", "eval"]
    assert read["version"] == "1.2.3"
    assert read["machine"]["cores"] >= 1
    assert (read["trials"], read["successes"]) == (3, 2)
    assert read["interval"] == [0.2077, 0.9385]


def test_a_number_that_json_does_not_know_leaves_the_old_report(tmp_path):
    path = tmp_path / "r.json"
    write_report(path, {"p99_ms": 1.0})
    with pytest.raises(ValueError, match="JSON"):
        write_report(path, {"p99_ms": float("nan")})
    assert json.loads(path.read_text()) == {"p99_ms": 1.0}
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot write the report .*file/r\.json"):
        write_report(tmp_path / "file" / "r.json", {})


def test_what_is_no_file_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    require_writable(pipe)
    write_report(pipe, {"p99_ms": 1.0})
    assert json.loads(os.read(reading, 100)) == {"p99_ms": 1.0}
    os.close(reading)
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_link_is_followed(tmp_path):
    shared, link = tmp_path / "shared.json", tmp_path / "link.json"
    link.symlink_to(shared)
    write_report(link, {"p99_ms": 1.0})
    assert link.is_symlink()
    assert json.loads(shared.read_text()) == {"p99_ms": 1.0}
