from pathlib import Path

import pytest

from carp_ros.cli.demo import DemoCommand, _conduct, chosen_bundle, planned
from carp_ros.cli.trial_table import header, row
from carp_ros.clients.trial_agents import ChunkFigures
from carp_ros.clients.trial_node import LiveTrial, NotStartedError, StreamCount
from carp_ros.errors import DeviceError
from carp_ros.reports.control import Reason
from carp_ros.rig import load_rig
from carp_ros.sim.sentences import allows
from carp_ros.sim.tasks import TASKS

STAGES = ("image_age", "preprocess", "vision", "decode", "schedule", "total")


CONFIG = Path(__file__).parents[2] / "config"
RIG, OTHER_RIG = load_rig(CONFIG / "ur5e_sim.yaml"), load_rig(CONFIG / "fr3_sim.yaml")


def test_the_packages_own_policy_acts_unless_another_agent_is_named():
    assert chosen_bundle(DemoCommand(), RIG).name == "carp_cup_sim"
    assert chosen_bundle(DemoCommand(task="bowl"), RIG).name == "carp_bowl_sim"
    assert chosen_bundle(DemoCommand(), OTHER_RIG).name == "carp_cup_fr3_sim"
    assert chosen_bundle(DemoCommand(agent="demonstrator"), RIG) is None


def test_a_task_that_no_policy_of_the_rig_does_is_the_demonstrators():
    assert chosen_bundle(DemoCommand(task="bowl"), OTHER_RIG) is None
    with pytest.raises(ValueError, match="needs --bundle: no policy for bowl on fr3_sim"):
        chosen_bundle(DemoCommand(task="bowl", agent="policy"), OTHER_RIG)


def test_a_bundle_that_is_named_acts(tiny_bundle):
    assert chosen_bundle(DemoCommand(bundle=str(tiny_bundle)), RIG).folder == tiny_bundle


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"agent": "demonstrator", "bundle": "x"}, "exclude each other"),
        ({"bundle": "nothing_of_that_name"}, r"no policy\.yaml in .*nothing_of_that_name"),
    ],
)
def test_what_contradicts_itself_is_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        chosen_bundle(DemoCommand(**options), RIG)


def test_without_an_instruction_the_task_is_that_of_the_command():
    assert planned(DemoCommand()) == ("cup", None)
    assert planned(DemoCommand(task="two_cups")) == ("two_cups", None)


@pytest.mark.parametrize(
    ("instruction", "task"),
    [
        ("Put the cup on the green field", "cup"),
        ("the bowl goes into the pot", "bowl"),
        ("bring the white cup to the green field, please", "two_cups"),
        ("move the cup to the yellow field", "two_fields"),
    ],
)
def test_an_instruction_chooses_task_and_seeds_whose_scenes_allow_it(instruction, task):
    found, seeds = planned(DemoCommand(instruction=instruction, trials=4, seed_start=200))
    assert found == task
    assert len(seeds) == len(set(seeds)) == 4
    assert min(seeds) >= 200
    assert all(allows(TASKS[task], seed, instruction) for seed in seeds)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"instruction": "wash up"}, "--instruction is 'wash up'; expected .* the simulated cell"),
        ({"instruction": "put the cup on the green field", "task": "bowl"}, "of task bowl, such"),
        ({"trials": 0}, "--trials is 0; expected at least 1"),
    ],
)
def test_what_no_scene_allows_is_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        planned(DemoCommand(**options))


def trial(policy=None):
    cameras = dict.fromkeys(("wrist_cam", "third_cam"), StreamCount(299, 300, 0))
    return LiveTrial(4, True, "", 9.96, cameras, 5000, 10, 5, policy)


def test_the_columns_of_a_policys_chunks_stand_under_their_names():
    figures = ChunkFigures(48, 2, {name: {"p50": 41.2, "p99": 80.9} for name in STAGES})
    above, below = header(["wrist_cam", "third_cam"], policy=True), row(0, trial(figures))
    for name, text in (("chunks", "48"), ("reduced", "2"), ("decode", "41/81"), ("total", "41/81")):
        end = above.index(name) + len(name)
        assert below[:end].endswith(text), (name, below)


def test_without_a_policy_there_are_no_such_columns():
    assert "chunks" not in header(["wrist_cam", "third_cam"], policy=False)
    line = row(0, trial())
    assert len(line) <= len(header(["wrist_cam", "third_cam"], policy=False))
    assert "0.20%" in line


def test_a_policy_that_sent_nothing_has_no_latencies():
    assert row(0, trial(ChunkFigures())).endswith("-")


class Conductor:
    """A trial node whose trials go as told, one after the other."""

    def __init__(self, *outcomes):
        self.outcomes, self.prepared = list(outcomes), 0

    def prepare(self):
        self.prepared += 1

    def conduct(self, seed, timeout_s, progress):
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome, ["image"]


STALE = NotStartedError("the newest image is 0.25 s old", Reason.IMAGE_STALE)


def test_a_trial_that_is_stopped_before_the_arm_moves_begins_again(capsys):
    node = Conductor(STALE, trial())
    result, images = _conduct(node, DemoCommand(), 0, 4)
    assert result.success
    assert (result.attempts, images) == (2, ["image"])
    assert node.prepared == 2  # the fault is reset before
    assert "before the arm moved, the newest image is 0.25 s old" in capsys.readouterr().out


def test_a_trial_that_never_gets_to_move_fails():
    node = Conductor(STALE, STALE, STALE, trial())
    result, _ = _conduct(node, DemoCommand(), 0, 4)
    assert (result.success, result.reasons, result.attempts) == (False, str(STALE), 3)


def test_a_trial_that_is_stopped_on_its_way_fails_at_once():
    node = Conductor(DeviceError("the robot stopped"), trial())
    result, _ = _conduct(node, DemoCommand(), 0, 4)
    assert (result.success, result.reasons, result.attempts) == (False, "the robot stopped", 1)
