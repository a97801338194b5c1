"""Tests for sim/sentences.py, and for what a seed decides about a task."""

from collections import Counter

import numpy as np
import pytest

from carp_ros.sim.cell import Cell
from carp_ros.sim.sentences import allows, asked_goal, instruction_of, sentence
from carp_ros.sim.task import staging_of
from carp_ros.sim.tasks import TASKS, task_named

SEVERAL = [name for name, task in TASKS.items() if not task.has_one_goal]


@pytest.mark.parametrize("name", SEVERAL)
def test_any_sentence_asks_for_its_goal_and_for_no_other(name):
    for seed in range(60):
        goals = staging_of(TASKS[name], seed).goals
        assert len(goals) == 2
        for goal in goals:
            for kind in ("plain", "varied", "unseen"):
                assert asked_goal(goals, sentence(goal, kind, seed)) == goal


def test_a_task_with_one_goal_has_its_own_instruction_unless_words_vary():
    task = task_named("cup")
    goal = staging_of(task, 0).goals[0]
    assert instruction_of(task, goal, "plain", 3) == task.instruction
    assert len({instruction_of(task, goal, "varied", seed) for seed in range(50)}) == 8


@pytest.mark.parametrize("name", SEVERAL)
def test_no_sentence_to_test_with_is_demonstrated(name):
    said = {"varied": set(), "unseen": set()}
    for seed in range(300):
        for goal in staging_of(TASKS[name], seed).goals:
            for kind in said:
                said[kind].add(sentence(goal, kind, seed))
    assert not said["varied"] & said["unseen"]


def test_pairs_of_colours_to_test_with_are_not_demonstrated_but_their_colours_are():
    pairs = {
        name: {
            frozenset(goal.moved_words for goal in staging_of(TASKS[name], seed).goals)
            for seed in range(300)
        }
        for name in ("two_cups", "unseen_cups")
    }
    assert len(pairs["two_cups"]) == 8
    assert len(pairs["unseen_cups"]) == 2
    assert not pairs["two_cups"] & pairs["unseen_cups"]
    seen = Counter(cup for pair in pairs["two_cups"] for cup in pair)
    assert all(seen[cup] >= 2 for pair in pairs["unseen_cups"] for cup in pair)


@pytest.mark.parametrize("name", SEVERAL)
def test_what_is_asked_for_tells_neither_place_nor_colour(name):
    """Else a policy could succeed without its instruction."""
    moved, firsts = Counter(), Counter()
    for seed in range(400):
        goal = staging_of(TASKS[name], seed).goals[0]
        moved[goal.moved, goal.place] += 1
        firsts[goal.moved_words, goal.place_words] += 1
    assert min(moved.values()) > 0.4 * max(moved.values())
    assert min(firsts.values()) > 0.3 * max(firsts.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "put it there",
        "put the red cup and the white cup on the green field",
        "put the green cup",
    ],
)
def test_a_sentence_that_asks_for_no_goal_or_for_two_is_refused(text):
    task = TASKS["two_cups"]
    both = [f"put the {colour} cup on the green field" for colour in ("red", "white")]
    seed = next(s for s in range(99) if all(allows(task, s, one) for one in both))
    with pytest.raises(ValueError, match=r"expected 'put the \w+ cup on the green field' or"):
        asked_goal(staging_of(task, seed).goals, text)
    assert not allows(task, seed, text)


@pytest.mark.parametrize("name", SEVERAL)
def test_the_other_goal_is_judged_once_it_is_asked_for(rig, name):
    cell = Cell(rig, TASKS[name], visuals=False)
    cell.reset(3, "normal")
    first, other = cell.staging.goals
    assert cell.goal == first
    cell.ask(other)
    assert cell.goal == other
    copy = Cell(rig, TASKS[name], visuals=False)
    copy.restore(cell.snapshot(0))
    assert copy.goal == other
    cell.scatter(4, "normal")
    assert cell.goal == cell.staging.goals[0]


def test_the_cups_have_the_colours_that_are_said(rig):
    cell = Cell(rig, TASKS["two_cups"], visuals=True)
    for seed in range(20):
        cell.reset(seed, "normal")
        for goal in cell.staging.goals:
            colour = cell.model.material(goal.moved).rgba[:3]
            red, green, blue = colour
            word = goal.moved_words.removesuffix(" cup")
            is_said = {
                "red": red > 2 * max(green, blue),
                "blue": blue > 1.5 * max(red, green),
                "yellow": min(red, green) > 2 * blue,
                "white": np.ptp(colour) < 0.1 and red > 0.7,
                "purple": min(red, blue) > 1.5 * green,
            }
            assert is_said[word], (word, colour)
