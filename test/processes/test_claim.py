"""A name has one holder, who need not give it back to lose it."""

import os
import subprocess
import sys
import threading

import pytest

from carp_ros.processes.claim import Claim, TakenError, claim_within

HOLDER = """
import sys, time
from carp_ros.processes.claim import Claim
claim = Claim(sys.argv[1])
print("has it", flush=True)
time.sleep(60)
"""


@pytest.fixture(params=["short", "long " * 60])
def name(request) -> str:
    return f"{request.param} of test {os.getpid()}"


def test_a_name_is_taken_until_it_is_released(name):
    claim = Claim(name)
    with pytest.raises(TakenError, match=f"taken by process {os.getpid()}"):
        Claim(name)
    claim.release()
    Claim(name).release()


def test_a_killed_holder_has_nothing(name):
    command = [sys.executable, "-c", HOLDER, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "has it\n"
        with pytest.raises(TakenError) as caught:
            Claim(name)
        assert caught.value.holder == holder.pid
        holder.kill()
        holder.wait()
    Claim(name).release()


def test_one_waits_for_a_holder_that_is_about_to_end(name):
    told: list[str] = []
    first = Claim(name)
    threading.Timer(0.3, first.release).start()
    claim_within(name, 5.0, told.append).release()
    assert told == [f"process {os.getpid()}"]


def test_one_does_not_wait_for_ever(name):
    first = Claim(name)
    with pytest.raises(TakenError):
        claim_within(name, 0.2, lambda holder: None)
    first.release()
