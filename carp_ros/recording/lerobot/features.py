"""Selects the features of a LeRobot dataset that become state, action and cameras."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from carp_ros.inference.layout import (
    GRIPPER,
    MOST_NUMBERS,
    TOOL,
    TOOL_NAMES,
    Layout,
)
from carp_ros.refusal import in_words, shortened
from carp_ros.robots import ROBOTS
from carp_ros.strict import NAME, read_strictly

STATE, ACTION = "observation.state", "action"

_NUMBERS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "bool", "uint8")
_PLACES = ("timestamp", "frame_index", "episode_index", "index", "task_index")
_UNKNOWN_UNIT = "?"
_MOST_PX = 16384


@dataclass(frozen=True)
class FeatureChoice:
    """The features to learn from, if they are not the usual ones.

    Attributes:
        state: Features concatenated to the state, in order; empty for `observation.state`.
        action: The feature with the actions.
        cameras: The image features to use; empty for all.
    """

    state: tuple[str, ...] = ()
    action: str = ACTION
    cameras: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageFeature:
    """A feature of images.

    Attributes:
        name: The camera's name for a policy.
        feature: Its name in the dataset.
        stored: As a `video`, or as an `image` in each row.
        width_px, height_px: Size of its images.
    """

    name: str
    feature: str
    stored: Literal["video", "image"]
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Features:
    """The features that are learnt from.

    Attributes:
        state_columns: The columns concatenated to the state, in order.
        action_column: The column with the actions.
        state, action: The layouts of their numbers.
        cameras: The cameras to use, in the dataset's order.
        refused: Why other features are not used, one line each.
    """

    state_columns: tuple[str, ...]
    action_column: str
    state: Layout
    action: Layout
    cameras: tuple[ImageFeature, ...]
    refused: tuple[str, ...]


def chosen_features(features: Mapping[str, Mapping[str, Any]], choice: FeatureChoice) -> Features:
    """Select the features to learn from.

    Args:
        features: The features in info.json.
        choice: What the user asked for.

    Raises:
        ValueError: If the state or the action is not among them.
    """
    vectors, images, refused = {}, [], []
    for name, feature in features.items():
        if name in _PLACES:
            continue
        try:
            if feature.get("dtype") in ("image", "video"):
                images.append(_camera(name, feature))
            else:
                vectors[name] = _number_names(name, feature)
        except Exception as error:  # a bad entry concerns only its own feature
            refused.append(f"{shortened(name, 80)}: {in_words(error)}")
    state_columns = choice.state or (STATE,)
    for name in (*state_columns, choice.action):
        if name not in vectors:
            raise ValueError(_missing(name, choice, vectors, refused))
    cameras = _wanted(images, choice.cameras, refused)
    known = {name: features[name] for name in vectors}
    return Features(
        state_columns,
        choice.action,
        _layout(state_columns, vectors, known),
        _layout((choice.action,), vectors, known),
        cameras,
        tuple(refused),
    )


def _missing(
    name: str, choice: FeatureChoice, vectors: Mapping[str, object], refused: Sequence[str]
) -> str:
    option = "--action" if name == choice.action else "--state"
    why = next((f" ({line})" for line in refused if line.startswith(f"{name}:")), "")
    return shortened(
        f"no feature {name} of numbers{why}; expected one of {', '.join(vectors) or 'some'}: name"
        f" it with {option}",
        600,
    )


def _wanted(
    images: Sequence[ImageFeature], wanted: Sequence[str], refused: list[str]
) -> tuple[ImageFeature, ...]:
    """Return the cameras to use, each with a unique name."""
    for name in wanted:
        if name not in [known for camera in images for known in (camera.feature, camera.name)]:
            have = ", ".join(camera.feature for camera in images) or "none"
            raise ValueError(f"--cameras has {name}; expected features of images: {have}")
    found: dict[str, ImageFeature] = {}
    for camera in images:
        if wanted and camera.name not in wanted and camera.feature not in wanted:
            continue
        if camera.name in found:
            refused.append(
                f"{camera.feature}: its name becomes {camera.name}, as does that of"
                f" {found[camera.name].feature}; expected names that differ: choose with --cameras"
            )
        else:
            found[camera.name] = camera
    return tuple(found.values())


def _camera(feature: str, said: Mapping[str, Any]) -> ImageFeature:
    shape = said.get("shape")
    if not (
        isinstance(shape, list)
        and len(shape) == 3
        and all(type(size) is int and 1 <= size <= _MOST_PX for size in shape)
    ):
        raise ValueError(f"shape is {shortened(repr(shape), 60)}; expected height, width, channels")
    names = said.get("names")
    first = isinstance(names, list) and bool(names) and str(names[0]).startswith("channel")
    first = first or (shape[0] in (1, 3) and shape[2] not in (1, 3))
    height_px, width_px, channels = shape[1:] + shape[:1] if first else shape
    info = said.get("info") or said.get("video_info") or {}
    if isinstance(info, dict) and info.get("video.is_depth_map") is True:
        raise ValueError("holds depth; expected colour images: policies look at colour only")
    if channels != 3:
        raise ValueError(f"has {channels} channels; expected 3, of colour images")
    name = feature.removeprefix("observation.").removeprefix("images.")
    name = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    name = name if name[:1].isalpha() else f"camera_{name}"
    if expected := NAME.expectation(name):
        raise ValueError(f"the camera would be called {name!r}; expected {expected}")
    return ImageFeature(name, feature, said["dtype"], width_px, height_px)


def _number_names(feature: str, said: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a feature's numbers."""
    dtype, shape = said.get("dtype"), said.get("shape")
    if dtype not in _NUMBERS:
        raise ValueError(f"dtype is {shortened(repr(dtype), 40)}; expected numbers or images")
    if not (isinstance(shape, list) and len(shape) == 1 and type(shape[0]) is int):
        raise ValueError(f"shape is {shortened(repr(shape), 60)}; expected one row of numbers")
    count = shape[0]
    if not 1 <= count <= MOST_NUMBERS:
        raise ValueError(f"has {count} numbers; expected 1 to {MOST_NUMBERS}")
    names = said.get("names")
    if isinstance(names, dict) and len(names) == 1:  # {"motors": [...]}, {"axes": [...]}
        names = next(iter(names.values()))
    elif isinstance(names, dict):  # {"x": 0, "y": 1}
        names = _in_place(names)
    if isinstance(names, list) and len(names) == count and len(set(map(str, names))) == count:
        return tuple(map(str, names))
    return (feature,) if count == 1 else tuple(f"{feature}_{i}" for i in range(count))


def _in_place(names: Mapping[str, Any]) -> list[str] | None:
    """Return names sorted by index, if they map to indices; else None."""
    if not all(type(place) is int for place in names.values()):
        return None
    return sorted(names, key=lambda name: names[name])


def _layout(
    columns: Sequence[str],
    vectors: Mapping[str, tuple[str, ...]],
    features: Mapping[str, Mapping[str, Any]],
) -> Layout:
    """Return the layout of some columns, as far as their names and units tell."""
    names = tuple(name for column in columns for name in vectors[column])
    if names == TOOL_NAMES:
        return TOOL
    bare = tuple(name.removesuffix(".pos") for name in names)
    if bare[-1] == GRIPPER and any(bare[:-1] == robot.joint_names for robot in ROBOTS.values()):
        return Layout("joints", bare, (*["rad"] * (len(bare) - 1), "1"))
    units = tuple(unit for column in columns for unit in _units(features[column], vectors[column]))
    if len(set(names)) < len(names):
        names = tuple(f"{column}.{name}" for column in columns for name in vectors[column])
    content = {"kind": "free", "names": list(names), "units": list(units)}
    try:
        return read_strictly(Layout, content, "its names")
    except ValueError:  # names that can't be printed
        plain = [f"{column}_{i}" for column in columns for i in range(len(vectors[column]))]
        return read_strictly(Layout, {**content, "names": plain}, ", ".join(columns))


def _units(feature: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    units = feature.get("units")
    if isinstance(units, list) and len(units) == len(names):
        for unit in units:
            short = isinstance(unit, str) and unit.isprintable() and 0 < len(unit.strip()) < 20
            yield unit if short else _UNKNOWN_UNIT
    else:
        yield from [_UNKNOWN_UNIT] * len(names)
