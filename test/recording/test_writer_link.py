"""Tests for the recorder's writer as a process, without ROS: what a slow disk and a kill do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from carp_ros.errors import CarpError
from carp_ros.recording.bag import read_info, read_messages
from carp_ros.recording.episode import EpisodeInfo
from carp_ros.recording.live_episode import sources
from carp_ros.recording.messages import encode_text
from carp_ros.recording.recover import recover
from carp_ros.recording.writer_link import WriterLink
from carp_ros.rig import load_rig
from carp_ros.share import share_folder

RIG_PATH = share_folder() / "config" / "ur5e_sim.yaml"
EVENTS = [topic.name for topic in sources(load_rig(RIG_PATH))].index("/episode/event")
BEGAN_NS = 1_700_000_000_000_000_000
INFO = EpisodeInfo("ur5e_sim", "cup", "", "me", seed=None, software="", started_ns=BEGAN_NS)


@pytest.fixture
def link():
    link = WriterLink(load_rig(RIG_PATH), 1_000_000)
    yield link
    link.kill()


def start(link: WriterLink, folder: Path) -> None:
    assert link.command(BEGAN_NS, "start", folder=str(folder), info=INFO.texts, images="raw")


def put(link: WriterLink, numbers: range, size: int = 10) -> int:
    """Put one message a number; return how many were taken."""
    return sum(
        link.put(EVENTS, BEGAN_NS + number * 1_000_000, encode_text(f"{number:{size}}"))
        for number in numbers
    )


def await_answer(link: WriterLink, event: str) -> dict:
    deadline_s = time.monotonic() + 15.0
    while time.monotonic() < deadline_s:
        for answer in link.answers():
            if answer["event"] == event:
                return answer
        time.sleep(0.02)
    raise AssertionError(f"no {event}")


def flushed(folder: Path) -> int:
    """Return how many messages of an episode are on the disk; it may not have begun there."""
    try:
        return len(list(read_messages(folder)))
    except (CarpError, ValueError):
        return 0


def test_what_is_put_between_start_and_finish_is_the_episode(link, tmp_path):
    put(link, range(5))
    start(link, tmp_path / "a")
    put(link, range(100))
    link.command(BEGAN_NS, "finish")
    put(link, range(5))
    answer = await_answer(link, "finished")
    assert answer["folder"] == str(tmp_path / "a")
    found = [stamp_ns for _, stamp_ns, _ in read_messages(tmp_path / "a")]
    assert found == [BEGAN_NS + number * 1_000_000 for number in range(100)]


def test_a_stalled_disk_delays_nobody_and_every_loss_is_counted(link, tmp_path):
    start(link, tmp_path / "a")
    await_answer(link, "started")
    os.kill(link.pid, signal.SIGSTOP)
    begin_s = time.monotonic()
    taken = put(link, range(300), size=10_000)
    assert time.monotonic() - begin_s < 1.0
    assert taken < 300
    assert link.lost == 300 - taken
    assert link.most_backlog_bytes <= 1_000_000
    link.tick(BEGAN_NS)
    assert link.command(BEGAN_NS, "finish")
    os.kill(link.pid, signal.SIGCONT)
    answer = await_answer(link, "finished")
    assert answer["verdict"] == "red"
    assert any(reason.startswith(f"{300 - taken} messages lost") for reason in answer["reasons"])
    assert len(list(read_messages(tmp_path / "a"))) == taken


def test_a_stalled_disk_loses_depth_before_it_loses_a_colour_image(link, tmp_path):
    os.kill(link.pid, signal.SIGSTOP)
    big = encode_text("x" * 100_000)
    depths = [link.put(EVENTS, BEGAN_NS, big, minor=True) for _ in range(10)]
    colours = [link.put(EVENTS, BEGAN_NS, big) for _ in range(4)]
    os.kill(link.pid, signal.SIGCONT)

    assert 4 <= sum(depths) <= 5  # half of the buffer
    assert all(colours)
    assert link.lost == depths.count(False)


def test_a_killed_writer_harms_no_earlier_episode_and_its_own_is_recovered(link, tmp_path):
    start(link, tmp_path / "a")
    put(link, range(100))
    link.command(BEGAN_NS, "finish")
    start(link, tmp_path / "b")
    put(link, range(100))
    await_answer(link, "finished")
    deadline_s = time.monotonic() + 15.0
    while flushed(tmp_path / "b") < 100 and time.monotonic() < deadline_s:
        time.sleep(0.1)  # until it was flushed, after a second
    put(link, range(100, 110))
    before = {path: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    os.kill(link.pid, signal.SIGKILL)
    time.sleep(0.1)
    assert link.death() == "the writer process died of SIGKILL"
    assert {path: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before
    assert recover(tmp_path / "b").outcome == "recovered"
    assert len(list(read_messages(tmp_path / "b"))) >= 100


def test_what_a_killed_node_had_passed_on_is_written_all_the_same(tmp_path):
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_writer_link import RIG_PATH, WriterLink, load_rig, put, start
link = WriterLink(load_rig(RIG_PATH), 1_000_000)
start(link, Path({str(tmp_path / "a")!r}))
put(link, range(500))
print(link.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    node = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert node.returncode == -signal.SIGKILL, node.stderr
    deadline_s = time.monotonic() + 15.0
    while Path(f"/proc/{int(node.stdout)}").exists() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert (tmp_path / "a" / "unfinished.yaml").exists()
    assert recover(tmp_path / "a").messages == 500


def test_leaving_finishes_what_was_told(link, tmp_path):
    start(link, tmp_path / "a")
    put(link, range(100))
    link.command(BEGAN_NS, "finish")
    assert link.stop(15.0)
    assert read_info(tmp_path / "a").verdict == "red"  # no camera, no arm


def test_a_label_may_come_after_the_end(link, tmp_path):
    start(link, tmp_path / "a")
    link.command(BEGAN_NS, "finish")
    link.command(BEGAN_NS, "label", folder=str(tmp_path / "a"), success=True)
    await_answer(link, "labelled")
    assert read_info(tmp_path / "a").success is True


@pytest.mark.parametrize("finished", [True, False])
def test_a_discarded_episode_is_removed(link, tmp_path, finished):
    start(link, tmp_path / "a")
    put(link, range(10))
    if finished:
        link.command(BEGAN_NS, "finish")
    link.command(BEGAN_NS, "discard", folder=str(tmp_path / "a"))
    await_answer(link, "discarded")
    assert not (tmp_path / "a").exists()


def test_a_folder_that_can_not_be_made_fails_the_episode_and_not_the_process(link, tmp_path):
    (tmp_path / "a").mkdir()
    start(link, tmp_path / "a")
    answer = await_answer(link, "failed")
    assert answer["verdict"] == "red"
    assert "exists already" in answer["reasons"][0]
    start(link, tmp_path / "b")
    await_answer(link, "started")
