import getpass
import os

import pytest

from carp_ros.processes.user import user_name


def raising(error):
    def getuser():
        raise error

    return getuser


@pytest.mark.parametrize(
    "getuser",
    [
        raising(KeyError("getpwuid(): uid not found: 12345")),
        raising(OSError("No username set in the environment")),
        lambda: "",
        lambda: " \n",
    ],
)
def test_a_user_without_a_name_is_known_by_number(monkeypatch, getuser):
    monkeypatch.setattr(getpass, "getuser", getuser)
    assert user_name() == str(os.getuid())


def test_a_name_is_one_line(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "ann\nbob")
    assert user_name() == "annbob"
