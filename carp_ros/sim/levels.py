"""Levels of randomisation between episodes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """Half-widths of the uniform distributions around nominal values.

    Attributes:
        name: As in a rig file's `cell.level`.
        place: Of an object's place, as a fraction of its task's full area.
        yaw_rad: Of an object's yaw.
        hue: Of every colour, as a fraction of the colour circle.
        brightness: Of every colour and light, relative.
        light_m: Of the lamp's position, along each axis.
        camera_m, camera_rad: Of each camera's mount, along and about each axis.
    """

    name: str
    place: float = 0.0
    yaw_rad: float = 0.0
    hue: float = 0.0
    brightness: float = 0.0
    light_m: float = 0.0
    camera_m: float = 0.0
    camera_rad: float = 0.0


LEVELS = {
    level.name: level
    for level in (
        Level("none"),
        Level(
            "normal",
            place=0.8,
            yaw_rad=3.1416,
            hue=0.02,
            brightness=0.12,
            light_m=0.2,
            camera_m=0.002,
            camera_rad=0.005,
        ),
        Level(
            "hard",
            place=1.0,
            yaw_rad=3.1416,
            hue=0.08,
            brightness=0.35,
            light_m=0.6,
            camera_m=0.01,
            camera_rad=0.03,
        ),
    )
}


def level_named(name: str) -> Level:
    """Look up a level.

    Raises:
        ValueError: If there is none with that name.
    """
    if name not in LEVELS:
        raise ValueError(f"level is {name!r}; expected one of {', '.join(LEVELS)}")
    return LEVELS[name]
