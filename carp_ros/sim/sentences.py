"""The sentences in which a goal is asked for: those of demonstrations, and others to test with.

A policy that understands its instruction must do so in words that it never saw, too. The unseen
sentences are therefore in no demonstration.
"""

from __future__ import annotations

import re
from typing import Literal

import numpy as np

from carp_ros.sim.goals import Goal
from carp_ros.sim.tabletop import COLOURS
from carp_ros.sim.task import Task, staging_of

Sentences = Literal["plain", "varied", "unseen"]
"""Which sentence asks for a goal: the plain one, any of the demonstrations', or an unseen one."""

_ON = {
    "plain": ("put the {moved} on the {place}",),
    "varied": (
        "put the {moved} on the {place}",
        "place the {moved} on the {place}",
        "move the {moved} to the {place}",
        "set the {moved} down on the {place}",
        "pick up the {moved} and put it on the {place}",
        "take the {moved} over to the {place}",
        "bring the {moved} to the {place}",
        "the {moved} goes on the {place}",
    ),
    "unseen": (
        "pick the {moved} up and set it on the {place}",
        "please put the {moved} down on the {place}",
        "I want the {moved} on the {place}",
        "grab the {moved} and move it over to the {place}",
        "onto the {place} with the {moved}",
        "could you carry the {moved} to the {place}",
    ),
}
_INTO = {
    "plain": ("put the {moved} into the {place}",),
    "varied": (
        "put the {moved} into the {place}",
        "place the {moved} in the {place}",
        "move the {moved} into the {place}",
        "set the {moved} down in the {place}",
        "pick up the {moved} and put it in the {place}",
        "take the {moved} over to the {place}",
        "bring the {moved} to the {place}",
        "the {moved} goes into the {place}",
    ),
    "unseen": (
        "pick the {moved} up and set it in the {place}",
        "please put the {moved} down in the {place}",
        "I want the {moved} in the {place}",
        "grab the {moved} and move it into the {place}",
        "into the {place} with the {moved}",
        "could you carry the {moved} to the {place}",
    ),
}


def sentence(goal: Goal, kind: Sentences, seed: int) -> str:
    """Return a sentence that asks for a goal.

    Args:
        goal: What is asked for.
        kind: Which sentences to choose from.
        seed: Of the choice, an episode's.
    """
    forms = (_INTO if goal.is_inside else _ON)[kind]
    form = forms[np.random.default_rng([seed, 4]).integers(len(forms))]
    return form.format(moved=goal.moved_words, place=goal.place_words)


def instruction_of(task: Task, goal: Goal, kind: Sentences, seed: int) -> str:
    """Return the instruction of an episode: the task's own if it has but one, see `sentence`."""
    if kind == "plain" and task.has_one_goal:
        return task.instruction
    return sentence(goal, kind, seed)


def asked_goal(goals: tuple[Goal, ...], text: str) -> Goal:
    """Return the goal that a sentence asks for: it names its object and place, no other colour.

    Raises:
        ValueError: If the sentence asks for none of the goals, or for several.
    """
    words = text.lower()
    colours = COLOURS.keys() & set(re.findall(r"\w+", words))
    meant = [
        goal
        for goal in goals
        if goal.moved_words in words and goal.place_words in words and colours <= goal.named_colours
    ]
    if len(meant) != 1:
        possible = " or ".join(repr(sentence(goal, "plain", 0)) for goal in goals)
        raise ValueError(f"instruction is {text!r}; on the table now, expected {possible}")
    return meant[0]


def allows(task: Task, seed: int, text: str) -> bool:
    """Return whether a seed's scene allows what a sentence asks for."""
    try:
        asked_goal(staging_of(task, seed).goals, text)
    except ValueError:
        return False
    return True
