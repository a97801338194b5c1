import pytest

from carp_ros.errors import DeviceError
from carp_ros.inference import choose_runtime as module
from carp_ros.inference.choose_runtime import choose_runtime


class Made:
    """A runtime that is there."""


def absent(reason, kind=DeviceError):
    def make():
        raise kind(reason)

    return make


def offer(monkeypatch, **makers):
    monkeypatch.setattr(module, "_makers", lambda threads: makers)


def test_the_fastest_that_is_here_is_chosen(monkeypatch):
    offer(monkeypatch, rtx=Made, cuda=Made, cpu=Made)
    assert str(choose_runtime()) == "rtx"


def test_what_is_not_here_is_said_with_its_reason(monkeypatch):
    offer(monkeypatch, rtx=absent("no GPU"), cuda=absent("lacks it", ValueError), cpu=Made)
    choice = choose_runtime()
    assert str(choice) == "cpu (not rtx: no GPU; not cuda: lacks it)"
    assert isinstance(choice.runtime, Made)


def test_what_is_asked_for_by_name_is_never_replaced(monkeypatch):
    offer(monkeypatch, rtx=absent("no GPU"), cuda=Made, cpu=Made)
    with pytest.raises(DeviceError, match="no GPU"):
        choose_runtime("rtx")
    assert choose_runtime("cuda").name == "cuda"


def test_no_runtime_at_all_is_an_error_with_all_reasons(monkeypatch):
    offer(monkeypatch, rtx=absent("a"), cuda=absent("b"), cpu=absent("c"))
    with pytest.raises(DeviceError, match="not rtx: a; not cuda: b; not cpu: c"):
        choose_runtime()


def test_an_unknown_name_is_answered_with_those_that_exist():
    with pytest.raises(ValueError, match="'tpu'; expected auto, rtx, cuda, cpu"):
        choose_runtime("tpu")


def test_this_machine_has_a_runtime():
    choice = choose_runtime()
    assert choice.name in ("rtx", "cuda", "cpu")
    assert len(choice.against) == ("rtx", "cuda", "cpu").index(choice.name)
