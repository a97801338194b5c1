"""Ctrl-C twice: the first one counts, the second one hurries."""

import signal

import pytest

from carp_ros.processes.interrupts import Interrupts


class Clock:
    """A clock that stands where it is put."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def interrupts(clock):
    attended = Interrupts(clock)
    attended.attend()
    yield attended
    attended.release()


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_first_goes_through_and_the_second_can_not_cut_what_it_began(interrupts, clock):
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert not interrupts.hurry
    clock.now_s = 0.6
    interrupt()
    assert interrupts.hurry


def test_one_much_later_goes_through_again_unless_the_end_has_begun(interrupts, clock):
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    clock.now_s = 5.0
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    interrupts.leave()
    clock.now_s = 10.0
    interrupt()
    assert interrupts.hurry


def test_interrupts_are_given_back(clock):
    attended = Interrupts(clock)
    before = signal.getsignal(signal.SIGINT)
    attended.attend()
    assert signal.getsignal(signal.SIGINT) != before
    attended.release()
    assert signal.getsignal(signal.SIGINT) == before
