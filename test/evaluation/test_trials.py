import dataclasses
import importlib
import sys
from pathlib import Path

import pytest

from carp_ros.errors import DeviceError, PolicyError
from carp_ros.evaluation import trials
from carp_ros.evaluation.policy_agent import PolicyAgent, PolicyTiming, observe
from carp_ros.evaluation.trials import (
    PolicyAgentFactory,
    TrialRunner,
    TrialSettings,
    run_trials,
    scripted_operator,
)
from carp_ros.inference.layout import TOOL
from carp_ros.inference.policy_spec import ObservationSpec, PolicySpec
from carp_ros.rig import load_rig

LAYOUT = TOOL.spanning((-1.0,) * 10, (1.0,) * 10)


@pytest.fixture
def settings() -> TrialSettings:
    rig = load_rig(Path(__file__).parents[2] / "config" / "ur5e_sim.yaml")
    return TrialSettings(rig, "cup", "normal", timeout_s=40.0, make_agent=scripted_operator)


def alone(settings, seed):
    """Return the trial of a seed on a runner of its own."""
    runner = TrialRunner(settings)
    trial, _ = runner.run(seed)
    runner.close()
    return trial


def test_a_trial_is_the_same_alone_and_after_others_in_another_process(settings):
    for trial, images in run_trials(settings, (3, 4), workers=1):
        here = alone(settings, trial.seed)
        assert dataclasses.replace(trial, wall_s=here.wall_s) == here
        assert images == []


def test_images_show_the_episode_from_beginning_to_end(settings):
    stopped = dataclasses.replace(settings, timeout_s=3.0)
    runner = TrialRunner(stopped, frozenset({5}))
    trial, images = runner.run(5)
    runner.close()
    assert trial.timed_out
    assert not trial.success
    assert trial.reasons
    assert [image.shape for image in images] == [(480, 320, 3)] * 3
    assert (images[0] != images[2]).any()


def test_a_person_moves_with_some_jerk(settings):
    assert 0.1 < alone(settings, 3).jerk_m_s3 < 100.0


def test_a_policy_is_measured_in_every_trial(settings, tiny_bundle):
    follow = PolicyAgentFactory(tiny_bundle, "cup")
    seen = dataclasses.replace(settings, timeout_s=1.0, make_agent=follow, needs_cameras=True)
    for trial, _ in run_trials(seen, (3, 4), workers=1):
        assert trial.policy is not None
        assert len(trial.policy.stages) == len(trial.policy.figures) == 5
        assert trial.policy.accepted == 5
        assert trial.policy.reduced == 0
        assert trial.policy.refusals == trial.policy.notes == ()
        assert 0.0 < sum(trial.policy.stages[0].values()) < 1.0
        assert max(trial.policy.velocity_jumps_m_s) < 0.1


def test_a_policy_is_loaded_once_and_for_the_cells_rig(settings, tiny_bundle, monkeypatch):
    """Without it, a policy of joint targets has no kinematics, and gives no chunk."""
    loaded = []
    monkeypatch.setattr(trials, "load_policy", lambda *_, rig, **__: loaded.append(rig) or "policy")
    follow = PolicyAgentFactory(tiny_bundle, "cup")
    assert follow.load(settings.rig) == follow.load(settings.rig) == "policy"
    assert loaded == [settings.rig]


BREAKING = """
from carp_ros.evaluation.trials import scripted_operator

def break_down(cell, cameras):
    if cell.seed == 4:
        raise RuntimeError("a joint came loose")
    return scripted_operator(cell)
"""


@pytest.fixture
def break_down(tmp_path, monkeypatch):
    """Return what makes an agent, but for the cell of seed 4; processes find it, too."""
    (tmp_path / "breaking_of_this_test.py").write_text(BREAKING)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("breaking_of_this_test").break_down
    del sys.modules["breaking_of_this_test"]


def test_a_trial_that_raises_is_lost_alone_and_named(settings, break_down):
    broken = dataclasses.replace(settings, timeout_s=1.0, make_agent=break_down)
    lost = []
    done = [trial for trial, _ in run_trials(broken, (3, 4, 5), workers=1, on_lost=lost.append)]
    assert sorted(trial.seed for trial in done) == [3, 5]
    assert [(each.job, each.reason) for each in lost] == [(4, "RuntimeError: a joint came loose")]
    with pytest.raises(DeviceError, match="seed 4 was aborted: RuntimeError: a joint"):
        list(run_trials(broken, (4,), workers=1))


def give_up(cell, cameras):
    """Return an agent whose policy never has a plan."""

    class Clueless:
        spec = PolicySpec("b", "k", ("cup",), {}, ObservationSpec(), LAYOUT, LAYOUT, 0.1, 16, 8)

        def infer(self, observations, deadline_ns=None):
            raise PolicyError("no idea")

    return PolicyAgent(
        Clueless(),
        cell.rig.limits,
        lambda: observe(cell, None, ()),
        lambda: False,
        PolicyTiming(0.8),
    )


def test_a_policy_that_was_given_up_is_the_first_reason(settings):
    trial = alone(dataclasses.replace(settings, make_agent=give_up), 3)
    assert trial.reasons[0] == "5 chunks refused in a row: no idea"
    assert len(trial.reasons) > 1
    assert not trial.timed_out
