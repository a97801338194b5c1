import dataclasses

import pytest

from carp_ros.cli import record as verb
from carp_ros.cli.record import RecordCommand
from carp_ros.recording.bag import read_info
from carp_ros.sim.tasks import task_named


def test_demonstrations_are_made_once_and_summed_up(tmp_path, capsys):
    command = RecordCommand(
        out=tmp_path,
        task="bowl",
        episodes=2,
        lockstep=True,
        timeout_s=1.0,
        workers=1,
        camera_rate_hz=5.0,
    )
    assert verb.main(command) == 0
    printed = capsys.readouterr().out
    assert "2 of 2 episodes" in printed
    assert "0 successful; quality: 2 green" in printed
    infos = [read_info(folder) for folder in sorted(tmp_path.iterdir())]
    assert [info.seed for info in infos] == [0, 1]
    assert infos[0].instruction == task_named("bowl").instruction
    assert infos[0].rig_file["robot"] == "ur5e"
    assert infos[0].rig_file["cameras"]["wrist_cam"]["rate_hz"] == 5.0
    assert verb.main(command) == 0
    assert capsys.readouterr().out == "2 episodes are there already\n"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"episodes": 0}, "--episodes is 0; expected at least 1"),
        ({"camera_rate_hz": -1.0}, "--camera-rate-hz is -1.0; expected more than 0"),
        ({"agent": "person"}, "--agent is person; expected demonstrator"),
        ({"rig": "ur5e"}, "needs a simulated rig"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, change, complaint):
    command = dataclasses.replace(RecordCommand(out=tmp_path, lockstep=True), **change)
    with pytest.raises(ValueError, match=complaint):
        verb.main(command)
    assert not list(tmp_path.iterdir())
