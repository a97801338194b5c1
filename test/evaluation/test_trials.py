import dataclasses
from pathlib import Path

import pytest

from carp_ros.evaluation.trials import Conditions, demonstrate, run_trial, run_trials
from carp_ros.rig import load_rig


@pytest.fixture
def conditions() -> Conditions:
    rig = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml")
    return Conditions(rig, "cup", "normal", timeout_s=40.0, make_agent=demonstrate)


def test_trials_in_other_processes_are_the_same_as_in_this_one(conditions):
    here = {seed: run_trial(conditions, frozenset(), seed)[0] for seed in (3, 4)}
    for trial, pictures in run_trials(conditions, (3, 4), workers=2):
        assert dataclasses.replace(trial, wall_s=here[trial.seed].wall_s) == here[trial.seed]
        assert pictures == []


def test_pictures_show_the_episode_from_beginning_to_end(conditions):
    stopped = dataclasses.replace(conditions, timeout_s=3.0)
    trial, pictures = run_trial(stopped, frozenset({5}), 5)
    assert trial.timed_out
    assert not trial.success
    assert trial.reasons
    assert [picture.shape for picture in pictures] == [(480, 320, 3)] * 3
    assert (pictures[0] != pictures[2]).any()
