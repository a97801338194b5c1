import gc
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader

from carp_ros.errors import DeviceError
from carp_ros.recording.bag import mcap_file, read_info, read_messages
from carp_ros.recording.recover import Recovery, find_recordings, recover

KILLS = 20
LONGEST_LOSS_S = 1.0 + 1 / 30


def cut_off(folder, begin, content, flushed):
    """An episode whose writer is gone, with `flushed` messages on disk and some in its memory."""
    writer = begin(folder)
    for message in content[:flushed]:
        writer.write(*message)
    writer.flush()
    for message in content[flushed : flushed + 9]:
        writer.write(*message)
    del writer
    gc.collect()  # its lock goes with it, as in a process that ends
    return folder


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_unfinished_episode_is_finished_with_what_was_flushed(tmp_path, begin, content, info):
    folder = cut_off(tmp_path / "a", begin, content, 90)
    seconds = (content[89][1] - content[0][1]) * 1e-9
    assert recover(folder) == Recovery(folder, "recovered", seconds, 90)
    with Reader(folder) as reader:
        assert reader.message_count == 90
    assert list(read_messages(folder)) == content[:90]
    found = read_info(folder)
    assert found.reasons == ("recovered, 1.0 s",)
    assert (found.instruction, found.rig_file) == (info.instruction, info.rig_file)
    assert sorted(path.name for path in folder.iterdir()) == ["a.mcap", "metadata.yaml"]


def test_recovering_again_changes_nothing(tmp_path, begin, content):
    folder = cut_off(tmp_path / "a", begin, content, 90)
    recover(folder)
    before = files_of(folder)
    assert recover(folder).outcome == "whole"
    assert files_of(folder) == before


def test_an_episode_that_is_being_recorded_is_left_alone(tmp_path, begin, content):
    writer = begin(tmp_path / "a")
    writer.write(*content[0])
    writer.flush()
    before = files_of(tmp_path / "a")
    assert recover(tmp_path / "a").outcome == "busy"
    assert files_of(tmp_path / "a") == before
    writer.discard()


def test_an_episode_of_which_nothing_was_flushed_is_said_to_be_empty(tmp_path, begin, content):
    cut_off(tmp_path / "a", begin, content, 0)
    assert recover(tmp_path / "a") == Recovery(tmp_path / "a", "empty")


def test_a_recovery_that_was_killed_between_its_two_files_is_completed(tmp_path, begin, content):
    folder = cut_off(tmp_path / "a", begin, content, 90)
    unfinished = (folder / "unfinished.yaml").read_bytes()
    recover(folder)
    (folder / "metadata.yaml").unlink()
    (folder / "unfinished.yaml").write_bytes(unfinished)
    (folder / ".recovering" / "a").mkdir(parents=True)
    (folder / ".recovering" / "a" / "a.mcap").write_bytes(b"begun")
    assert find_recordings(tmp_path) == find_recordings(folder) == [folder]
    assert recover(folder).messages == 90
    assert read_info(folder).reasons == ("recovered, 1.0 s",)
    assert not (folder / ".recovering").exists()


def test_without_metadata_a_whole_file_still_says_what_it_is(tmp_path, write_episode, content):
    final = write_episode(tmp_path / "a")
    (tmp_path / "a" / "metadata.yaml").unlink()
    assert recover(tmp_path / "a").messages == len(content)
    found = read_info(tmp_path / "a")
    assert (found.operator, found.success) == (final.operator, True)
    assert found.reasons == (*final.reasons, "recovered, 4.0 s")


def test_a_file_that_says_nothing_is_recovered_as_unknown(tmp_path, begin, content):
    folder = cut_off(tmp_path / "a", begin, content, 90)
    (folder / "unfinished.yaml").unlink()
    assert recover(folder).messages == 90
    assert read_info(folder).task == "unknown"
    assert read_info(folder).started_ns == content[0][1]


def test_any_truncation_leaves_a_prefix_of_the_messages(tmp_path, write_episode, content):
    write_episode(tmp_path / "whole")
    whole = mcap_file(tmp_path / "whole").read_bytes()
    cut = tmp_path / "cut"
    cut.mkdir()

    # A power cut may leave zeros where data was to be.
    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, len(whole)), st.sampled_from((0, 1000)))
    def each_end(end, zeros):
        (cut / "cut.mcap").write_bytes(whole[:end] + bytes(zeros))
        found = list(read_messages(cut))
        assert len(found) == 90 * sum(end >= chunk_end for chunk_end in chunk_ends)
        assert content[: len(found)] == found

    last_of_chunks = [content[count - 1][2] for count in (90, 180, 270, 360)]
    chunk_ends = [whole.index(cdr) + len(cdr) for cdr in last_of_chunks]
    each_end()


@pytest.mark.parametrize("share", [0.3, 0.55, 0.9, 0.985, 0.9999])
@pytest.mark.parametrize("zeros", [0, 1000])
def test_a_truncated_episode_is_recovered(tmp_path, write_episode, content, share, zeros):
    write_episode(tmp_path / "a")
    file = mcap_file(tmp_path / "a")
    whole = file.read_bytes()
    file.write_bytes(whole[: round(share * len(whole))] + bytes(zeros))
    expected = list(read_messages(tmp_path / "a"))
    assert recover(tmp_path / "a").messages == len(expected)
    assert list(read_messages(tmp_path / "a")) == expected == content[: len(expected)]
    assert read_info(tmp_path / "a").operator == "no"


def test_an_episode_whose_metadata_were_cut_too_is_recovered_as_unknown(
    tmp_path, write_episode, content
):
    write_episode(tmp_path / "a")
    (tmp_path / "a" / "metadata.yaml").write_text("")
    file = mcap_file(tmp_path / "a")
    whole = file.read_bytes()
    file.write_bytes(whole[: whole.index(b"serialized_metadata") + 200] + bytes(100_000))
    assert recover(tmp_path / "a").messages == len(content)
    assert read_info(tmp_path / "a").task == "unknown"


def test_a_damaged_chunk_ends_the_messages_before_it(tmp_path, write_episode, content):
    write_episode(tmp_path / "a")
    file = mcap_file(tmp_path / "a")
    damaged = bytearray(file.read_bytes())
    damaged[damaged.index(content[200][2])] ^= 1
    file.write_bytes(damaged)
    assert list(read_messages(tmp_path / "a")) == content[:180]


def test_a_killed_recording_is_recovered_to_within_a_second(tmp_path, write_episode):
    earlier = tmp_path / "earlier"
    write_episode(earlier)
    before = files_of(earlier)
    rng = random.Random(0)
    moments_s = [rng.uniform(0.2, 0.8) for _ in range(KILLS)]
    folders = [tmp_path / f"killed_{i}" for i in range(KILLS)]
    with ThreadPoolExecutor(5) as pool:
        written_ns = list(pool.map(write_and_kill, folders, moments_s))
    for folder, last_ns in zip(folders, written_ns):
        recovered = recover(folder)
        assert recovered.outcome == "recovered"
        assert last_ns * 1e-9 - recovered.seconds <= LONGEST_LOSS_S
        with Reader(folder) as reader:
            assert len(list(reader.messages())) == recovered.messages
    assert files_of(earlier) == before


def write_and_kill(folder: Path, after_s: float) -> int:
    """Let a process write, kill it, and return the last stamp that it wrote."""
    script = Path(__file__).with_name("write_until_killed.py")
    command = [sys.executable, str(script), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after_s)
        process.kill()
        lines = process.stdout.read().decode().rpartition("\n")[0].split()
    return int(lines[-1])


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 600 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_at_once_and_harms_nothing_before(
    small_disk, write_episode, begin, content
):
    write_episode(small_disk / "earlier")
    before = files_of(small_disk / "earlier")
    writer = begin(small_disk / "a")
    flushed = 0

    def write_a_second():
        for message in content[:90]:
            writer.write(*message)
        writer.flush()
        return 90

    with pytest.raises(DeviceError, match=r"No space left on device \(0 MB free\); make room"):  # noqa: PT012
        while True:
            flushed += write_a_second()
    assert len(list(read_messages(small_disk / "a"))) == flushed > 0
    with pytest.raises(DeviceError, match="No space left"):
        recover(small_disk / "a")
    assert len(list(read_messages(small_disk / "a"))) == flushed
    assert files_of(small_disk / "earlier") == before
    elsewhere = small_disk.parent / "a"
    shutil.copytree(small_disk / "a", elsewhere)
    assert recover(elsewhere).messages == flushed
