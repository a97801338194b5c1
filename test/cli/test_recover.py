import errno
import gc

import pytest

from carp_ros.cli import recover as verb
from carp_ros.cli.recover import RecoverCommand
from carp_ros.recording.bag import BagWriter
from carp_ros.recording.episode import EpisodeInfo, Topic
from carp_ros.recording.messages import NUMBER, encode_number
from carp_ros.recording.recover import recover

INFO = EpisodeInfo("ur5e_sim", "cup", "", "demonstrator", seed=1, software="", started_ns=0)


def test_every_episode_is_told_what_became_of_it(tmp_path, capsys):
    for name, finished in (("finished", True), ("cut_off", False)):
        writer = BagWriter(tmp_path / name, [Topic("/gripper_state", NUMBER)], INFO)
        for tick in range(26):
            writer.write("/gripper_state", tick * 100_000_000, encode_number(0.5))
        writer.flush()
        if finished:
            writer.finish(INFO)
    del writer
    gc.collect()  # its lock goes with it, as in a process that ends
    empty = tmp_path / "twice"
    empty.mkdir()
    for name in ("a.mcap", "b.mcap"):
        (empty / name).touch()
    assert verb.main(RecoverCommand((tmp_path,))) == 1
    cut_off, finished, twice = capsys.readouterr().out.splitlines()
    assert cut_off.endswith("cut_off: recovered 2.5 s, 26 messages")
    assert finished.endswith("finished: finished, nothing to do")
    assert "twice: failed:" in twice
    assert twice.endswith("has 2 MCAP files; expected an episode, which has 1")


def test_a_folder_without_episodes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no episodes in"):
        verb.main(RecoverCommand((tmp_path,)))
    with pytest.raises(ValueError, match="no folder is given"):
        verb.main(RecoverCommand(()))


def test_an_episode_that_can_not_be_read_costs_itself_alone(tmp_path, capsys, monkeypatch):
    for name in ("a", "b", "c"):
        writer = BagWriter(tmp_path / name, [Topic("/gripper_state", NUMBER)], INFO)
        writer.write("/gripper_state", 0, encode_number(0.5))
        writer.finish(INFO)

    def refused(folder):  # as for a user who is not root
        if folder.name == "b":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return recover(folder)

    monkeypatch.setattr(verb, "recover", refused)
    assert verb.main(RecoverCommand((tmp_path,))) == 1
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.endswith("a: finished, nothing to do")
    assert second == f"{tmp_path / 'b'}: failed: Permission denied"
    assert third.endswith("c: finished, nothing to do")
