import dataclasses

import pytest

from carp_ros.cli import record as verb
from carp_ros.cli.record import RecordCommand
from carp_ros.cli.record_task import task_of
from carp_ros.recording.bag import read_info
from carp_ros.rig import load_rig
from carp_ros.sim.tasks import task_named
from carp_ros.system.bringup import rig_path


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
        ({"task": "juggle"}, "juggle"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, change, complaint):
    command = dataclasses.replace(RecordCommand(out=tmp_path, lockstep=True), **change)
    with pytest.raises(ValueError, match=complaint):
        verb.main(command)
    assert not list(tmp_path.iterdir())


def test_on_a_real_rig_the_task_is_what_a_person_says():
    rig = load_rig(rig_path("ur5e"))
    assert task_of("Put the mug on the shelf.", "", rig) == (
        "put_the_mug_on_the_shelf",
        "Put the mug on the shelf.",
    )
    assert task_of("mug", "Put it there.", rig) == ("mug", "Put it there.")
    with pytest.raises(ValueError, match=r"--task is empty, and ur5e is no simulated rig; .*words"):
        task_of("", "", rig)
    with pytest.raises(ValueError, match="expected what is done, in words"):
        task_of("?!", "", rig)


def test_in_the_cell_a_task_is_one_of_its_own_and_the_rigs_by_default():
    rig = load_rig(rig_path("ur5e_sim"))
    assert rig.cell is not None
    assert task_of("", "", rig) == (rig.cell.task, task_named(rig.cell.task).instruction)
    with pytest.raises(ValueError, match="juggle"):
        task_of("juggle", "", rig)
