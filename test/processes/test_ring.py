"""Tests for processes/ring.py: what goes in comes out, in order, or is refused; nothing else."""

import os
import signal
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from carp_ros.processes.ring import Ring, make_ring

operations = st.lists(st.one_of(st.none(), st.binary(max_size=200)), max_size=200)


@given(operations)
def test_it_is_a_queue_that_refuses_what_does_not_fit(operations):
    ring = make_ring(512)
    held: list[bytes] = []
    for operation in operations:
        if operation is None:
            assert ring.take() == (held.pop(0) if held else None)
        elif ring.put(operation):
            held.append(operation)
    assert [ring.take() for _ in held] == held
    assert ring.take() is None
    assert ring.backlog_bytes == 0


@given(st.lists(st.binary(max_size=60), max_size=100))
def test_an_emptied_ring_takes_any_item_of_half_its_size(items):
    ring = make_ring(160)
    for item in items:
        assert ring.put(item)
        assert ring.take() == item


def test_the_parts_of_an_item_come_out_as_one():
    ring = make_ring(100)
    assert ring.put(b"head", b"", b"body")
    assert ring.take() == b"headbody"


def test_a_reserve_is_left_for_what_matters_more():
    ring = make_ring(128)
    while ring.put(b"x" * 8, reserve_bytes=64):
        pass
    assert ring.backlog_bytes <= 64
    assert ring.put(b"stop" * 8)


def test_it_crosses_processes_and_outlives_a_writer_that_is_killed():
    ring = make_ring(1 << 16)
    code = f"""
import os, signal
from carp_ros.processes.ring import Ring
ring = Ring({ring.descriptor})
for number in range(500):
    assert ring.put(b"%d" % number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    writer = subprocess.run([sys.executable, "-c", code], pass_fds=[ring.descriptor], check=False)
    assert writer.returncode == -signal.SIGKILL
    assert [ring.take() for _ in range(500)] == [b"%d" % number for number in range(500)]
    os.close(ring.descriptor)


def test_a_second_end_sees_the_same_queue():
    ring = make_ring(1000)
    other = Ring(ring.descriptor)
    ring.put(b"one")
    assert other.take() == b"one"
    assert ring.backlog_bytes == 0
