"""The campaigns tell what is wrong, say so of a reader that is, and repeat a case by its seed."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from bench.faults.attempt import judge_refusal, try_cases
from bench.faults.campaign import GOOD, Case, Spoilt
from bench.faults.live_system import tracebacks
from bench.faults.report import write_table
from bench.faults.rig import RigCampaign, insane, ur5e_tool_position
from bench.faults.static import campaign_of, merged_report, prepared, report, run, summary
from bench.faults.watch import Sample, fastest, fastest_aim, freely
from carp_ros.errors import CarpError
from carp_ros.rig import load_rig
from carp_ros.share import share_folder

pytest.importorskip("torch", reason="checkpoints need torch: pip install 'carp_ros[train]'")


class Broken:
    """A reader that is wrong in as many ways as there are verdicts."""

    name = "broken"

    @property
    def mutations(self):
        return tuple(self.named(name) for name in self.doors())

    def doors(self):
        return {
            "refused": lambda: (_ for _ in ()).throw(ValueError("number.txt: is -1; expected 1")),
            "unclear": lambda: (_ for _ in ()).throw(CarpError("expected 1")),
            "harmless": lambda: "1",
            "dangerous": lambda: "-1",
            "traceback": lambda: {}["number"],
            "hang": lambda: time.sleep(60),
            "memory": lambda: bytes(8_000_000_000),
        }

    def named(self, name):
        def mutation(chance, folder):
            (folder / "number.txt").write_text(name)
            return Spoilt(f"{name} {chance.integers(10**9)}")

        mutation.__name__ = name
        return mutation

    def warm(self): ...

    def prepare(self, folder: Path): ...

    def copy(self, sound, folder): ...

    def names(self, folder):
        return ("number.txt",)

    def enter(self, folder):
        return self.doors()[(folder / "number.txt").read_text()]()

    def dangers(self, taken, spoilt, folder):
        return ["moves backwards"] if taken == "-1" else []


class Dying(Broken):
    def doors(self):
        return {"traceback": lambda: os._exit(3)}


def test_each_fault_of_a_reader_is_told(tmp_path):
    campaign = Broken()
    seeds = range(len(campaign.doors()))
    for case in try_cases(campaign, tmp_path, seeds, jobs=3, patience_s=3.0):
        assert case.verdict == case.mutation, case
    (died,) = try_cases(Dying(), tmp_path, [0])
    assert (died.verdict, died.detail) == ("traceback", "the process died: exit code 3")


def test_a_case_is_repeated_by_its_seed(tmp_path):
    first, again = (
        [case.what for case in try_cases(Broken(), tmp_path, seeds)] for seeds in ([2, 9], [2, 9])
    )
    assert first == again
    assert first[0] != first[1]


def test_a_refusal_is_one_line_that_names_its_input():
    assert judge_refusal("a.yaml: x is -1", ["a.yaml"])[0] == "refused"
    assert judge_refusal("x is -1", ["a.yaml"])[0] == "unclear"
    assert judge_refusal("a.yaml:\nx is -1", ["a.yaml"])[0] == "unclear"


def test_the_judge_of_rigs_knows_where_the_tool_is_and_every_key():
    rig = load_rig(share_folder() / "config" / "ur5e_sim.yaml")
    assert insane(rig) == []
    home = ur5e_tool_position(rig.home_joints_rad, rig.tool.position_m)
    assert home == pytest.approx([0.45, 0.0, 0.32], abs=1e-3)


def test_a_campaign_in_several_sittings_is_one(tmp_path):
    path = tmp_path / "message.json"
    for seed in (4, 3, 3):
        merged_report(Case(seed, "twist", "x", "traceback", "y", 0.1, 1.0), path, "campaign")
    merged_report(Case(4, "twist", "x", "refused", "y", 0.1, 1.0), path, "campaign")
    content = json.loads(path.read_text())
    assert (content["tried"], content["traceback"], content["refused"]) == (2, 1, 1)
    assert (content["seeds"], [f["seed"] for f in content["faults"]]) == ([3, 5], [3])


def test_the_fastest_moment_is_found_and_a_clock_that_was_set_is_not_one():
    def samples(speeds, begin_s=0.0):
        steps = np.cumsum([0.0, *speeds]) * 0.01
        return [Sample(begin_s + 0.01 * k, np.array([x, 0, 0])) for k, x in enumerate(steps)]

    assert fastest(samples([0.1] * 50 + [0.5] * 10 + [0.1] * 50)) == pytest.approx(0.5, abs=0.01)
    assert fastest([*samples([0.1] * 50, 5.0), *samples([0.1] * 50, 1.0)]) < 0.11


def test_an_arm_that_springs_back_is_not_fast_but_one_that_is_told_to_be_is():
    def sample(k, x, aim):
        return Sample(0.01 * k, np.array([x, 0, 0]), aim=np.array([aim, 0, 0]))

    held = [sample(k, 0.03, 0.0) for k in range(20)]
    freed = [sample(20 + k, max(0.0, 0.02 - 0.01 * k), 0.0) for k in range(50)]
    assert fastest(held + freed) > 0.5
    assert fastest(freely(held + freed)) < 0.05
    assert fastest_aim(held + freed) == 0.0
    told = [sample(k, 0.005 * k, 0.005 * k) for k in range(50)]
    assert fastest(freely(told)) == pytest.approx(0.5, abs=0.01)
    assert fastest_aim(told) == pytest.approx(0.5, abs=0.01)


def test_a_traceback_in_a_log_is_found_with_its_node():
    lines = [
        "control_node | all is well",
        "teleop_node  | Traceback (most recent call last):",
        "teleop_node  |   File x, line 1",
        "control_node | still well",
        "teleop_node  | ValueError: no",
    ]
    assert tracebacks(lines) == ["teleop_node: ValueError: no"]


def test_what_was_found_is_in_the_table(tmp_path):
    campaign = Broken()
    cases = list(try_cases(campaign, tmp_path, range(5)))
    assert summary(cases)["dangerous"] == 1
    report(cases, range(5), tmp_path / "rig.json", "python -m bench.faults rig")
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results: begin -->\n<!-- results: end -->\n")
    table = write_table(tmp_path, readme)
    assert "| rig | 5 | 1 | 1 | 1 | 1 | 1 | 0 | 0 | 0 to 4 |" in table
    assert table in readme.read_text()


@pytest.mark.parametrize(
    ("kind", "seeds"),
    [
        ("rig", range(3, 8)),
        ("rig_fr3", range(3, 8)),
        ("bundle", range(3)),
        ("bag", range(3)),
        ("dataset", range(3)),
        ("checkpoint", range(5, 6)),
    ],
)
def test_a_few_cases_of_each_kind_are_refused_or_harmless(kind, seeds):
    assert [case for case in run(campaign_of(kind), seeds, 1) if case.verdict not in GOOD] == []


def test_sound_input_that_is_called_dangerous_stops_a_campaign():
    class Suspicious(RigCampaign):
        def dangers(self, taken, spoilt, folder):
            return ["there is a rig"]

    with pytest.raises(RuntimeError, match="sound input"), prepared(Suspicious()):
        pass
