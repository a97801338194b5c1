"""The tasks in the cell.

In `cup` and `bowl` there is one thing to do. In the others the instruction decides.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from carp_ros.sim.goals import Area, Goal
from carp_ros.sim.tabletop import COLOURS, TabletopTask
from carp_ros.sim.task import Task
from carp_ros.sim.vessels import BOWL, CUP, POT, Vessel

_ZONE = Area(0.50, -0.22, 0.10, 0.08)
_LEFT = Area(0.49, 0.14, 0.14, 0.15)
_LEFT_NEAR, _LEFT_FAR = Area(0.40, 0.14, 0.11, 0.15), Area(0.58, 0.14, 0.11, 0.15)
_APART_M = 0.17  # room for the open gripper between two objects
_POT_YAW_RAD = 0.5

_SEEN_PAIRS = (
    ("red", "yellow"),
    ("red", "white"),
    ("red", "purple"),
    ("blue", "yellow"),
    ("blue", "white"),
    ("blue", "purple"),
    ("yellow", "white"),
    ("white", "purple"),
)
_UNSEEN_PAIRS = (("red", "blue"), ("yellow", "purple"))
_FIELD_COLOURS = ("green", "blue", "yellow")
_BOWL, _POT = (0.95, 0.74, 0.20), (0.27, 0.32, 0.42)


def _cups(*names: str) -> tuple[Vessel, ...]:
    return tuple(replace(CUP, name=name) for name in names)


def _two_cups(name: str, pairs: tuple[tuple[str, str], ...]) -> TabletopTask:
    ordered = [pair for a, b in pairs for pair in ((a, b), (b, a))]
    return TabletopTask(
        name,
        "put the cup of the colour that is asked for on the green field",
        _cups("cup_a", "cup_b"),
        {"cup_a": _LEFT_NEAR, "cup_b": _LEFT_FAR},
        {"zone": COLOURS["green"], "cup_a": COLOURS["red"], "cup_b": COLOURS["blue"]},
        tuple(Goal(cup, "zone", f"{{{cup}}} cup", "green field") for cup in ("cup_a", "cup_b")),
        {"zone": _ZONE},
        tuple({"cup_a": a, "cup_b": b} for a, b in ordered),
        _APART_M,
    )


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        TabletopTask(
            "cup",
            "put the cup on the green field on the right",
            (CUP,),
            {"cup": _LEFT},
            {"zone": COLOURS["green"], "cup": COLOURS["red"]},
            (Goal("cup", "zone", "cup", "green field", colour="red"),),
            {"zone": _ZONE},
        ),
        TabletopTask(
            "bowl",
            "put the bowl into the pot",
            (BOWL, POT),
            {
                "bowl": Area(0.49, 0.16, 0.12, 0.12),
                "pot": Area(0.50, -0.20, 0.06, 0.05, _POT_YAW_RAD),
            },
            {"bowl": _BOWL, "pot": _POT},
            (Goal("bowl", "pot", "bowl", "pot", is_inside=True, colour="yellow"),),
        ),
        _two_cups("two_cups", _SEEN_PAIRS),
        _two_cups("unseen_cups", _UNSEEN_PAIRS),
        TabletopTask(
            "two_fields",
            "put the cup on the field of the colour that is asked for",
            (CUP,),
            {"cup": _LEFT},
            {"zone_a": COLOURS["green"], "zone_b": COLOURS["blue"], "cup": COLOURS["red"]},
            tuple(
                Goal("cup", zone, "cup", f"{{{zone}}} field", colour="red")
                for zone in ("zone_a", "zone_b")
            ),
            {
                "zone_a": Area(0.395, -0.22, 0.075, 0.08),
                "zone_b": Area(0.585, -0.22, 0.075, 0.08),
            },
            tuple({"zone_a": a, "zone_b": b} for a, b in itertools.permutations(_FIELD_COLOURS, 2)),
        ),
        TabletopTask(
            "cup_or_bowl",
            "put the cup on the green field or the bowl into the pot, as you are asked",
            (CUP, BOWL, POT),
            {
                "cup": _LEFT_NEAR,
                "bowl": _LEFT_FAR,
                "pot": Area(0.58, -0.22, 0.03, 0.04, _POT_YAW_RAD),
            },
            {"zone": COLOURS["green"], "cup": COLOURS["red"], "bowl": _BOWL, "pot": _POT},
            (
                Goal("cup", "zone", "cup", "green field", colour="red"),
                Goal("bowl", "pot", "bowl", "pot", is_inside=True, colour="yellow"),
            ),
            {"zone": Area(0.37, -0.22, 0.07, 0.08)},
            apart_m=_APART_M,
        ),
    )
}


def task_named(name: str) -> Task:
    """Look up a task by its name or its instruction.

    Raises:
        ValueError: If there is none of that name.
    """
    for task in TASKS.values():
        if name == task.instruction:
            return task
    if name not in TASKS:
        raise ValueError(f"task is {name!r}; expected one of {', '.join(TASKS)}")
    return TASKS[name]
