"""Tests for processes/mailbox.py: records cross between processes whole, newest first."""

import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from carp_ros.errors import DeviceError
from carp_ros.processes.mailbox import SHARED_FOLDER, Mailbox, remove_leftovers

RECORD = np.dtype([("tick", np.int64), ("joints", np.float64, (64,)), ("mode", np.int8)])
WRITES = 200_000
WRITER = f"""
import sys
import numpy as np
from carp_ros.processes import mailbox as module
from carp_ros.processes.mailbox import Mailbox

module._SLOTS = int(sys.argv[2])
record = np.zeros((), np.dtype({RECORD.descr}))
mailbox = Mailbox(sys.argv[1], record.dtype, create=False)
for tick in range(1, {WRITES} + 1):
    record["tick"] = record["joints"] = tick
    record["mode"] = tick % 100
    mailbox.write(record)
"""


def record(tick):
    value = np.zeros((), RECORD)
    value["tick"] = value["joints"] = tick
    value["mode"] = tick % 100
    return value


@pytest.fixture
def name():
    name = f"test_{os.getpid()}"
    yield name
    (SHARED_FOLDER / f"carp_{name}").unlink(missing_ok=True)


@pytest.fixture
def owner(name):
    return Mailbox(name, RECORD, create=True)


@pytest.fixture
def reader(name, owner):
    return Mailbox(name, RECORD, create=False)


def test_nothing_is_read_before_the_first_write(reader):
    assert reader.read() is None
    assert reader.count == 0


def test_what_one_side_writes_the_other_reads(owner, reader):
    for tick in range(1, 11):
        owner.write(record(tick))

        assert reader.read() == record(tick)
        assert reader.count == tick


def test_either_side_may_write(owner, reader):
    reader.write(record(7))

    assert owner.read() == record(7)


def test_only_the_newest_record_is_read_and_it_is_read_again(owner, reader):
    for tick in range(1, 11):
        owner.write(record(tick))

    assert reader.read() == record(10)
    assert reader.read() == record(10)


def test_a_record_that_was_read_stays_as_it_was_until_the_next_read(owner, reader):
    owner.write(record(1))
    first = reader.read()
    for tick in range(2, 11):
        owner.write(record(tick))

    assert first == record(1)


@pytest.mark.parametrize("slots", [4, 1])  # with one slot, nearly every read collides
def test_a_reader_never_sees_a_torn_record_while_another_process_writes(name, slots, monkeypatch):
    monkeypatch.setattr("carp_ros.processes.mailbox._SLOTS", slots)
    owner = Mailbox(name, RECORD, create=True)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, name, str(slots)])
    torn, ticks = [], [0]
    while ticks[-1] < WRITES and (writer.poll() is None or owner.count == WRITES):
        value = owner.read()
        if value is None:
            continue
        tick = int(value["tick"])
        if (value["joints"] != tick).any() or value["mode"] != tick % 100:
            torn.append(value.copy())
        if tick != ticks[-1]:
            ticks.append(tick)

    assert writer.wait() == 0
    assert not torn
    assert ticks == sorted(ticks)
    assert ticks[-1] == WRITES
    assert len(ticks) > 5  # the reader did read while the writer wrote


def test_a_mailbox_that_nobody_made_is_refused(name):
    with pytest.raises(DeviceError, match=f"no shared record .*{name}; start the process that"):
        Mailbox(name, RECORD, create=False)


def test_another_layout_is_refused(name, owner):
    with pytest.raises(DeviceError, match=r"bytes; expected \d+: both processes must run the same"):
        Mailbox(name, np.dtype([("tick", np.int64)]), create=False)


def test_making_a_mailbox_clears_what_a_dead_process_left(name, owner):
    owner.write(record(1))

    assert Mailbox(name, RECORD, create=True).read() is None


def test_other_users_may_not_write(name, owner):
    mode = (SHARED_FOLDER / f"carp_{name}").stat().st_mode

    assert stat.S_IMODE(mode) == 0o600


def test_unlinking_removes_the_file_but_not_from_those_that_have_it_open(name, owner, reader):
    owner.unlink()
    owner.write(record(3))

    assert not (SHARED_FOLDER / f"carp_{name}").exists()
    assert reader.read() == record(3)
    owner.unlink()  # a second time does nothing


def test_a_reader_learns_that_its_file_was_made_anew(name):
    first = Mailbox(name, RECORD, create=True)
    reader = Mailbox(name, RECORD, create=False)
    assert not reader.orphaned
    second = Mailbox(name, RECORD, create=True)
    assert reader.orphaned
    assert first.orphaned
    second.unlink()
    assert second.orphaned


def test_only_what_a_dead_process_left_is_removed(name):
    code = f"""
import os, signal
import numpy as np
from carp_ros.processes.mailbox import Mailbox
kept = Mailbox({name + "_dead"!r}, np.dtype([("tick", np.int64)]), create=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    live = Mailbox(name, RECORD, create=True)
    subprocess.run([sys.executable, "-c", code], check=False)
    dead = SHARED_FOLDER / f"carp_{name}_dead"
    assert dead.exists()
    remove_leftovers()
    assert not dead.exists()
    assert not live.orphaned
    live.write(record(1))
    assert Mailbox(name, RECORD, create=False).read()["tick"] == 1
